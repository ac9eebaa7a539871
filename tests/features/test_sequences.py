"""Networks on the sequences of frozen encoders: what they learn, what they may not see, and what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.torch import load_file

from cfnsr.data.jobs import JobPaths, JobRecord, read_predictions
from cfnsr.features import files
from cfnsr.models import checkpoint
from stages import sequence, train_frozen
from tests.support import corpus, frozen
from tests.support.training import write_params

FACES = replace(frozen.FACTS, name="faces", modality="video")
SOUND = {"extractor": "mel_statistics", "sequence": {"layer": 1, "steps": frozen.STEPS}, "options": {"coefficients": 9}}
SMALL: dict[str, object] = {
    **{f"features.{name}": SOUND for name in ("sound", "faces")},
    **{"sequence.channels": 16, "sequence.dropout": 0.0, "sequence.training.learning_rate": 0.01},
    **{"sequence.training.epochs": 20, "sequence.training.batch_size": 4},
}
SYSTEM = {
    **{"systems.cfnsr.options.heads": 4, "systems.cfnsr.options.feed_forward": 16},
    **{"systems.concat.training.epochs": 2, "systems.msaf.training.epochs": 2, "systems.msaf.options.widths": [8, 8]},
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepare a corpus with two frozen encoders, and train the networks on both."""
    folder = tmp_path_factory.mktemp("corpus") / "made_up"
    corpus.write(folder / "shards", clips=24)
    corpus.manifest(folder / "shards").write(folder / "manifest.json")
    frozen.write(folder / "features/sound", folder / "shards")
    frozen.write(folder / "features/faces", folder / "shards", facts=FACES)
    for name in ("sound", "faces"):
        run(folder, name)
    return folder


def run(folder: Path, features: str, out: Path | None = None, *, status: int = 0, **values: object) -> str:
    write_params(folder / "params.yaml", **{**SMALL, **values})
    arguments = [f"{features}_sequence", "held_out", "fold_1", "7", str(out or folder), "--features", features]
    result = CliRunner().invoke(sequence.main, [*arguments, "--params", str(folder / "params.yaml")])
    assert result.exit_code == status, result.output
    return result.output


def run_system(folder: Path, system: str, video: str = "faces", *, status: int = 0, **values: object) -> str:
    write_params(folder / "params.yaml", **{**SMALL, **SYSTEM, **values})
    arguments = [f"{system}_frozen", "held_out", "fold_1", "7", str(folder)]
    arguments += ["--system", system, "--video", video, "--audio", "sound", "--params", str(folder / "params.yaml")]
    result = CliRunner().invoke(train_frozen.main, arguments)
    assert result.exit_code == status, result.output
    return result.output


def paths(folder: Path, name: str) -> JobPaths:
    return JobPaths.of(folder, name, corpus.trial("fold_1"))


def copy(prepared: Path, folder: Path) -> Path:
    """Link a copy of the corpus, whose features can be replaced."""
    (folder / "features").mkdir(parents=True)
    for name in ("shards", "manifest.json"):
        (folder / name).symlink_to(prepared / name)
    frozen.write(folder / "features/sound", folder / "shards")
    return folder


def described(facts: files.Facts) -> dict[str, object]:
    """Return what a network's file says of an encoder."""
    extractor = json.loads(json.dumps(asdict(facts)))
    return {"extractor": extractor, "options": SOUND["options"], "layer": 1, "steps": frozen.STEPS}


def test_sequences_teach_the_emotions(prepared: Path) -> None:
    table = read_predictions(paths(prepared, "sound_sequence").predictions)
    selected = table[table["choice"] == "selected"]
    assert (selected["label"] == selected["predicted"]).mean() >= 0.75  # chance 0.125
    record = JobRecord.read(paths(prepared, "sound_sequence").record)
    assert (record.reads, record.seen, record.published_accuracy) == (["audio"], "no", None)
    spec = checkpoint.read_spec(paths(prepared, "sound_sequence").checkpoint)
    assert spec.inputs == {"audio_sequence": [frozen.STEPS, 12]}
    assert spec.preprocessing["features"] == {"audio": described(frozen.FACTS)}


def test_test_speakers_change_no_weight(prepared: Path, tmp_path: Path) -> None:
    folder = copy(prepared, tmp_path / "made_up")
    of_test = folder / "features/sound/01" / files.SEQUENCES
    frozen.replace(of_test, -5 * np.load(of_test))
    run(folder, "sound")
    weights, others = (load_file(paths(base, "sound_sequence").checkpoint) for base in (prepared, folder))
    assert weights.keys() == others.keys() and all((weights[name] == others[name]).all() for name in weights)


@pytest.mark.parametrize("system", ["cfnsr", "concat", "msaf"])
def test_systems_train_on_frozen_sequences(prepared: Path, system: str) -> None:
    before = {path: path.read_bytes() for path in (prepared / "features").rglob("*.npy")}
    run_system(prepared, system)
    record = JobRecord.read(paths(prepared, f"{system}_frozen").record)
    assert (record.reads, record.published_accuracy) == (["audio", "video"], None)
    assert record.frozen_parameters == 2 * frozen.FACTS.parameters < record.parameters
    table = read_predictions(paths(prepared, f"{system}_frozen").predictions)
    assert {"without_video", "without_audio"} <= {*table["choice"]} and "attention" not in table
    assert all(path.read_bytes() == content for path, content in before.items())
    file = paths(prepared, f"{system}_frozen").checkpoint
    assert checkpoint.load(file) is not None
    encoders = {"video": described(FACES), "audio": described(frozen.FACTS)}
    assert checkpoint.read_spec(file).preprocessing["features"] == encoders


def test_unfit_systems_and_encoders_are_refused(prepared: Path) -> None:
    assert "eranns does not read the sequences of both encoders" in run_system(prepared, "eranns", status=1)
    assert "sound is an encoder of audio" in run_system(prepared, "cfnsr", video="sound", status=1)


def test_contaminated_sequences_are_refused(prepared: Path, tmp_path: Path) -> None:
    folder = copy(prepared, tmp_path / "made_up")
    seen = replace(frozen.FACTS, trained_on=("made_up",))
    frozen.write(folder / "features/sound", folder / "shards", facts=seen)
    assert "its weights have seen made_up" in run(folder, "sound", status=1)


def test_features_of_other_weights_are_refused(prepared: Path, tmp_path: Path) -> None:
    folder = copy(prepared, tmp_path / "made_up")
    other = frozen.write(tmp_path / "other", folder / "shards", facts=replace(frozen.FACTS, sha256="cd" * 32))
    of_test = folder / "features/sound/01"
    (of_test / files.FACTS).write_bytes((other / "01" / files.FACTS).read_bytes())
    assert "were made by another extractor, or with other weights" in run(folder, "sound", status=1)


def test_absent_or_uneven_sequences_are_named(prepared: Path, tmp_path: Path) -> None:
    folder = copy(prepared, tmp_path / "made_up")
    of_actor = folder / "features/sound/04" / files.SEQUENCES
    frozen.replace(of_actor, np.load(of_actor)[:, :3])
    assert "its sequences differ in length or width" in run(folder, "sound", status=1)
    of_actor.unlink()
    frozen.add_checksum(of_actor.parent)
    assert "04: has no sequences. Set features.sound.sequence.steps" in run(folder, "sound", status=1)
