"""A system, an encoder and an audio feature, added as docs/extending.md says, and trained."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from tests.conftest import made_once
from tests.support import toys
from tests.support.repository import Repository

FUSION, ENCODERS = Path("cfnsr/models/fusion"), Path("cfnsr/models/encoders/video")
LOUDER = '''
"""A toy system: whichever of the two predictions is surer."""

import torch
from torch import nn

from cfnsr.models.publication import Publication
from cfnsr.models.types import Batch, Prediction


class Fusion(nn.Module):
    """Two predictions -> one."""

    publication = Publication(fusion="decision")
    trains = True
    modality_modules = {"video": ("video",), "audio": ("audio",)}

    def __init__(self, video, audio, classes: int, *, gain: float) -> None:
        super().__init__()
        self.video, self.audio = video, audio
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, batch: Batch) -> Prediction:
        """Predict from the greater of each class's two logits."""
        logits = torch.maximum(self.video(batch["frames"]), self.audio(batch["mfcc"]))
        return Prediction((self.gain * logits).log_softmax(dim=1))
'''
TRAINING = """
    training:
      epochs: 2
      batch_size: 16
      learning_rate: 0.001
      weight_decay: 0.0
"""
LOUDER_SECTION = f"  louder:\n    options:\n      gain: 1.5{TRAINING}"
ENERGY_SECTION = f"  energy:\n    options:\n      width: 4{TRAINING}"
# The entry in the table of arrays, and the function that extraction calls.
ENERGY_ENTRY = ('    "mfcc": ArraySpec', '    "energy": ArraySpec(np.float32, ("step",)),\n    "mfcc": ArraySpec')
ENERGY_FEATURE = (
    '    return {"mel": log_mel.numpy(), "mfcc": mfcc.numpy()}\n',
    '    return {"mel": log_mel.numpy(), "mfcc": mfcc.numpy(), "energy": log_mel.mean(dim=0).numpy()}\n',
)
TRAINED = [f"train@studio-held_out-{name}-fold_1-1234" for name in ("louder", "energy", "cfnsr")]


def add_system(repository: Repository, name: str, source: str, section: str) -> None:
    """Add a system by one file and one section, name it in ``run.train``, and commit."""
    (repository.folder / FUSION / f"{name}.py").write_text(source)
    repository.edit("\nsystems:\n", f"\nsystems:\n{section}")
    listed = YAML(typ="safe").load(repository.folder / "params.yaml")["run"]["train"]
    repository.list_rows(train=[*listed, name])
    repository.commit(name)


def touched(repository: Repository, commit: str) -> list[str]:
    return repository.run("git", "show", "--name-only", "--format=", commit).split()


def extend(folder: Path, finished: Repository) -> None:
    repository = finished.copy(folder)
    add_system(repository, "louder", LOUDER, LOUDER_SECTION)
    repository.run("git", "tag", "louder")
    (repository.folder / ENCODERS / "toy.py").write_text(toys.VIDEO_ENCODER)
    path = repository.folder / "params.yaml"
    video = re.compile(r"(?ms)^  video:\n    name: resnext3d.*?(?=^  audio:)")
    text, count = video.subn("  video:\n    name: toy\n    options:\n      width: 8\n", path.read_text())
    assert count == 1
    path.write_text(text)
    repository.commit("toy encoder")
    repository.run("git", "tag", "toy")
    repository.edit(*ENERGY_ENTRY, "cfnsr/data/shards.py")
    repository.edit(*ENERGY_FEATURE, "cfnsr/preprocessing/audio.py")
    add_system(repository, "energy", toys.ENERGY_SYSTEM, ENERGY_SECTION)
    repository.run("git", "tag", "energy")
    (repository.folder / "ran.json").write_text(json.dumps(repository.repro(*TRAINED)))


@pytest.fixture(scope="session")
def extended(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The finished run with all three added, and their jobs of one fold trained."""
    return made_once(tmp_path_factory, "extended", lambda folder: extend(folder, finished))


def spec(repository: Repository, name: str) -> dict[str, object]:
    """Read the model spec of a job of the first fold, by the code of that repository."""
    program = "import json, sys; from pathlib import Path; from cfnsr.models.checkpoint import read_spec; "
    path = f"data/studio/models/held_out/{name}/fold_1/1234/model.safetensors"
    return json.loads(repository.run("python", "-c", f"{program}print(read_spec(Path({path!r})).to_json())"))


def predictions(repository: Repository, name: str) -> pd.DataFrame:
    return pd.read_parquet(repository.folder / f"data/studio/jobs/held_out/{name}/fold_1/1234/predictions.parquet")


def test_a_tenth_system_is_file_and_section(extended: Repository) -> None:
    assert touched(extended, "louder") == [f"{FUSION}/louder.py", "params.yaml"]
    assert spec(extended, "louder")["options"] == {"gain": 1.5}
    table = predictions(extended, "louder")
    assert {"selected", "last_epoch", "without_video", "without_audio"} <= set(table["choice"])


def test_a_second_encoder_is_file_and_section(extended: Repository) -> None:
    """It trains alone, and under a system that was written for another."""
    assert touched(extended, "toy") == [f"{ENCODERS}/toy.py", "params.yaml"]
    for name in ("video", "cfnsr"):
        assert spec(extended, name)["encoders"]["video"] == {"name": "toy", "width": 8}  # pyright: ignore
        assert len(predictions(extended, name)) > 0
    assert "pretrain@studio-held_out-video-fold_1-1234" in json.loads((extended.folder / "ran.json").read_text())


def test_a_second_feature_is_entry_and_function(extended: Repository) -> None:
    """Shards hold it, the manifest knows its shape, and a system trains on it."""
    assert touched(extended, "energy") == [
        "cfnsr/data/shards.py",
        f"{FUSION}/energy.py",
        "cfnsr/preprocessing/audio.py",
        "params.yaml",
    ]
    shard = extended.folder / "data/studio/shards/01"
    energy, mel = np.load(shard / "energy.npy"), np.load(shard / "mel.npy")
    assert np.allclose(energy, mel.mean(axis=1), atol=1e-3) and energy.std() > 1
    manifest = json.loads((extended.folder / "data/studio/manifest.json").read_text())
    assert manifest["shapes"]["energy"] == [energy.shape[1]]
    assert spec(extended, "energy")["inputs"]["energy"] == [energy.shape[1]]  # pyright: ignore
    assert len(predictions(extended, "energy")) > 0


def test_a_new_system_runs_its_jobs_alone(stubbed: Repository, tmp_path: Path) -> None:
    """So do a change of its options and a change of its file. With stubs."""
    repository = stubbed.copy(tmp_path / "repository")
    jobs = {f"train@studio-held_out-louder-{fold}-1234" for fold in ("fold_1", "fold_2")}
    add_system(repository, "louder", LOUDER, LOUDER_SECTION)
    assert set(repository.repro()) == {*jobs, "best@studio", "report@studio"}
    repository.edit("gain: 1.5", "gain: 2.5")
    assert set(repository.repro()) == {*jobs, "best@studio", "report@studio"}
    with (repository.folder / FUSION / "louder.py").open("a") as file:
        file.write("\n")
    assert set(repository.repro()) == jobs  # of the same bytes, so that nothing that gathers them runs
    assert list(json.loads(repository.results()["studio/metrics.json"])["accuracy"])[-1] == "louder"
    rows = [line for line in repository.run("cfnsr", "models").splitlines() if "│ louder " in line]
    assert len(rows) == 1 and rows[0].count("–") == 3, rows


def test_an_option_changes_its_ablations_too(stubbed: Repository, tmp_path: Path) -> None:
    repository = stubbed.copy(tmp_path / "repository")
    ablations = ["cfnsr_no_residual", "cfnsr_no_self_attention", "cfnsr_no_cross_modal"]
    repository.list_rows(ablate=ablations)
    repository.repro()
    repository.edit("      feed_forward: 256 ", "      feed_forward: 128 ")
    changed = re.findall(r"(\w+@studio-\w+-\w+-fold_1-1234)", repository.run("dvc", "status"))
    assert {job for job in changed if "cfnsr" in job} == {
        "train@studio-held_out-cfnsr-fold_1-1234",
        *(f"ablate@studio-held_out-{name}-fold_1-1234" for name in ablations),
    }
    assert not [job for job in changed if "cfnsr" not in job]
