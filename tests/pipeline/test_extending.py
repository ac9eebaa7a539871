"""Every recipe of docs/extending.md is followed, by the files that it names and no others, and the result is run."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from cfnsr.config import preset
from cfnsr.corpora.clip import Clip
from cfnsr.data import shards
from cfnsr.features import files
from cfnsr.models import checkpoint
from cfnsr.preprocessing import face_boxes, landmarks
from cfnsr.preprocessing.extract import face_crops
from cfnsr.preprocessing.media import timeline
from tests.conftest import made_once
from tests.support import media, recipes, toys
from tests.support.recipes import BASE, PARAMS, RECIPES, tag
from tests.support.repository import ROOT, Repository

PAGE = (ROOT / "docs/extending.md").read_text()
ACTORS, FOLDS, SEED = ("01", "02", "03"), ("fold_1", "fold_2"), 1234

# --- a repository in which all were followed, and the toy corpus was run


# DVC would start a process a stage, each of which imports torch again: this runs the same command lines in one.
IN_ONE_PROCESS = """
import sys
from importlib import import_module

for line in sys.argv[1].splitlines():
    program, *arguments = line.split()
    if program == "python":
        main, arguments = import_module(arguments[1]).main, arguments[2:]
    else:
        main = import_module("cfnsr.cli").main
    main(arguments, standalone_mode=False)
    if line.startswith("python -m stages.extract"):
        print("decoders:", *sorted(name for name in sys.modules if name.startswith("cfnsr.preprocessing.video.")))
"""
DATA = "data/toy"
WINDOW = {"offset_s": 0.5, "window_s": 2.45}
ROWS = {"pretrain": ["video", "audio"], "train": ["cfnsr", "louder", "energy"]}


def commands() -> list[str]:
    """List the command lines of dvc.yaml, for the toy corpus."""
    lines = [f"python -m stages.published_landmarks toy {DATA}/published_landmarks"]
    for actor in ACTORS:
        raw, found, boxes = f"{DATA}/raw/{actor}", f"{DATA}/landmarks/{actor}.parquet", f"{DATA}/faces/{actor}.parquet"
        lines.append(f"python -m stages.download toy {actor} {raw}")
        lines.append(f"python -m stages.landmarks toy {raw} {DATA}/published_landmarks {found}")
        lines.append(f"python -m stages.crop {found} {boxes}")
        lines.append(f"python -m stages.extract toy {raw} {boxes} {DATA}/shards/{actor}")
    lines.append(f"python -m stages.check toy {DATA}")
    for script, names in ROWS.items():
        lines += [f"python -m stages.{script} {name} held_out {fold} {SEED} {DATA}" for name in names for fold in FOLDS]
    for actor in ACTORS:
        boxes, out = f"{DATA}/faces/{actor}.parquet", f"{DATA}/features/loudness/{actor}"
        lines.append(f"python -m stages.features toy loudness {DATA}/raw/{actor} {boxes} {out}")
    lines += [f"python -m stages.probe loudness held_out {fold} {SEED} {DATA}" for fold in FOLDS]
    lines += [f"python -m stages.best {DATA}", f"python -m stages.report {DATA} metrics/toy"]
    alone = f"python -m stages.pretrain video held_out fold_1 {SEED}"
    lines += [f"{alone} data/{name} --params {name}.yaml" for name in ("plain", "inverted")]
    return ["cfnsr check", *lines, "cfnsr models"]


def change(values: dict[str, Any], changes: dict[str, Any]) -> None:
    """Replace values in nested sections."""
    for key, value in changes.items():
        if isinstance(value, dict):
            change(values[key], value)
        else:
            values[key] = value


def write_params(repository: Repository, name: str, changes: dict[str, Any]) -> None:
    """Write params.yaml with some values changed into a file of that name."""
    yaml = YAML()
    values = yaml.load(repository.folder / PARAMS)
    change(values, changes)
    yaml.dump(values, repository.folder / name)


def write_videos(folder: Path) -> None:
    """Write two clips of each emotion and speaker: three seconds, each with a pitch of its own."""
    folder.mkdir()
    for actor in ACTORS:
        for number in range(4):
            path = folder / f"{('calm', 'angry')[number % 2]}_{number}_{actor}.mp4"
            tone_hz = 200.0 * (number + 1) + int(actor)
            media.numbered(path, frames=24, rate=Fraction(8), sound_s=3.0, tone_hz=tone_hz)


def extend(folder: Path) -> None:
    """Follow each recipe in a commit of its own, then select all that was added, and run it."""
    repository = Repository.shipped(folder)
    for heading, (follow, _) in RECIPES.items():
        follow(repository)
        repository.commit(heading)
        repository.run("git", "tag", tag(heading))
    recipes.add_system(repository, "energy", toys.ENERGY_SYSTEM, "width: 4")
    write_videos(folder / "videos")
    selected = {
        "corpus": "toy",
        "corpora": {"toy": {"videos": "videos"}},
        "landmarks": {"source": "centre"},
        "extract": {"video": {"decoder": "all_frames", "side_px": 32}},
        "check": {"min_clips": 4},
        "run": {**ROWS, "combine": [], "probe": ["loudness"]},
    }
    write_params(repository, PARAMS, selected)
    repository.commit("all selected")
    for name, probability in (("plain", 0.0), ("inverted", 1.0)):
        # so small a rate that training changes no weight: only the clips that it saw differ
        still = {"pretrain": {"video": {"epochs": 1, "learning_rate": 1e-30}}}
        write_params(repository, f"{name}.yaml", {**still, "train": {"augment": {"video": {"invert": probability}}}})
        (folder / "data" / name).mkdir()
        for part in ("shards", "manifest.json"):
            (folder / "data" / name / part).symlink_to(folder / DATA / part)
    process = repository.start("python", "-c", IN_ONE_PROCESS, "\n".join(commands()))
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    (folder / "printed.txt").write_text(printed)


@pytest.fixture(scope="session")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which every recipe was followed, and the toy corpus was run with all that they added."""
    return Repository(made_once(tmp_path_factory, "extended", extend))


def job(name: str, corpus: str = "toy") -> str:
    return f"data/{corpus}/jobs/held_out/{name}/fold_1/{SEED}"


def predictions(repository: Repository, name: str) -> pd.DataFrame:
    return pd.read_parquet(repository.folder / job(name) / "predictions.parquet")


def spec(repository: Repository, name: str) -> checkpoint.ModelSpec:
    return checkpoint.read_spec(repository.folder / f"{DATA}/models/held_out/{name}/fold_1/{SEED}/model.safetensors")


# --- the page


def table() -> dict[str, tuple[str, str]]:
    """Read the page's table: by heading, the cells of the files and of the section."""
    rows = re.findall(r"^\| \[([^]]+)\]\(#([a-z-]+)\) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert all(link == tag(name) for name, link, _, _ in rows)
    return {name.capitalize(): (files, section) for name, _, files, section in rows}


def named_files(heading: str) -> set[str]:
    """Return the files that the page names for a recipe; those of a section are named above the table."""
    cell, section = table()[heading]
    files = [] if section == "none" else [BASE, PARAMS]
    for group in cell.split("; "):
        names, _, folder = group.partition(" in ")
        files += [folder.strip("`") + name for name in re.findall(r"`([^`]+)`", names)]
    for name, value in RECIPES[heading][1].items():
        files = [file.replace(f"<{name}>", value) for file in files]
    return set(files)


def test_every_recipe_has_a_test() -> None:
    assert re.findall(r"^## (.+)$", PAGE, re.MULTILINE) == list(RECIPES) == list(table())
    assert f'"Section" means: edit `{BASE}` and `{PARAMS}` alike' in PAGE


@pytest.mark.parametrize("heading", RECIPES)
def test_a_recipe_touches_the_files_it_names(extended: Repository, heading: str) -> None:
    touched = extended.run("git", "show", "--name-only", "--format=", tag(heading)).split()
    assert set(touched) == named_files(heading)


def test_what_recipes_add_passes_the_linters(extended: Repository) -> None:
    """And the test that compares a stage's deps with what it imports."""
    touched = extended.run("git", "diff", "--name-only", f"HEAD~{len(RECIPES) + 1}", "--", "cfnsr", "stages").split()
    extended.run("ruff", "check", "--no-cache", *touched)
    extended.run("lint-imports", "--no-cache")
    wiring = ("tests/pipeline/test_wiring.py", "-k", "durations or every_script")
    printed = extended.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *wiring)
    assert re.search(r"^\s*\d+ passed", printed, re.MULTILINE), printed


def test_presets_know_what_recipes_add(extended: Repository) -> None:
    """What a recipe adds to params.yaml survives the next `cfnsr preset`, but for the choice of rows and encoder."""
    values = YAML(typ="safe").load(extended.run("git", "show", f"{tag('A stage')}:{PARAMS}"))
    kept = preset.load(extended.folder / "presets/tiny.yaml")
    kept["run"]["train"].append("louder")
    kept["encoders"]["video"] = {"name": "toy", "options": {"width": 8}}
    assert {name: values[name] for name in kept if name != "systems"} == {
        name: kept[name] for name in kept if name != "systems"
    }
    assert values["systems"].items() <= kept["systems"].items()


# --- each recipe's result


def test_a_tenth_system_is_trained(extended: Repository) -> None:
    assert spec(extended, "louder").options == {"gain": 1.5}
    choices = {"selected", "last_epoch", "without_video", "without_audio"}
    assert choices <= set(predictions(extended, "louder")["choice"])
    rows = [line for line in (extended.folder / "printed.txt").read_text().splitlines() if "│ louder " in line]
    assert len(rows) == 1 and rows[0].count("–") == 3, rows


def test_a_second_encoder_serves_every_system(extended: Repository) -> None:
    """It trains alone, and under a system that was written for another."""
    for name in ("video", "cfnsr"):
        assert spec(extended, name).encoders["video"] == {"name": "toy", "width": 8}
        assert len(predictions(extended, name)) > 0


def test_a_second_feature_is_trained_on(extended: Repository) -> None:
    """Shards hold it, the manifest knows its shape, and a system trains on it."""
    shard = extended.folder / DATA / "shards/01"
    energy, mel = np.load(shard / "energy.npy"), np.load(shard / "mel.npy")
    assert np.allclose(energy, mel.mean(axis=1), atol=1e-3) and energy.std() > 1
    manifest = json.loads((extended.folder / DATA / "manifest.json").read_text())
    assert manifest["shapes"]["energy"] == [energy.shape[1]]
    assert spec(extended, "energy").inputs["energy"] == [energy.shape[1]]
    assert len(predictions(extended, "energy")) > 0


def test_a_new_corpus_is_prepared_and_labelled(extended: Repository) -> None:
    for actor in ACTORS:
        clips = sorted(path.name for path in (extended.folder / "videos").glob(f"*_{actor}.mp4"))
        assert len(clips) == 4
        assert sorted(path.name for path in (extended.folder / DATA / "raw" / actor).iterdir()) == clips
        index = pd.read_parquet(extended.folder / DATA / f"shards/{actor}/clips.parquet")
        assert [f"{clip}.mp4" for clip in index["clip"]] == clips and set(index["actor"]) == {actor}
        assert index["label"].tolist() == [clip.split("_")[0] for clip in clips]
    manifest = json.loads((extended.folder / DATA / "manifest.json").read_text())
    assert manifest["labels"] == ["calm", "angry"] and manifest["clips"] == dict.fromkeys(ACTORS, 4)


def test_a_new_frozen_encoder_has_a_row(extended: Repository) -> None:
    known = files.read(extended.folder / DATA / "features/loudness/01")
    assert known.means.shape == (4, 1, 10) and known.means.min() > 0
    assert set(predictions(extended, "loudness")["choice"]) == {"selected", "validation"}
    assert "loudness," in (extended.folder / "metrics/toy/results.csv").read_text()


def test_a_new_landmark_source_is_read(extended: Repository) -> None:
    by_clip, skipped = landmarks.read(extended.folder / DATA / "landmarks/01.parquet")
    assert len(by_clip) == 4 and not skipped
    for found in by_clip.values():
        assert np.allclose(np.hypot(*(found.points - [160, 120]).T), 60, atol=1e-3)


def test_a_new_decoder_gives_the_same_frames(extended: Repository) -> None:
    used = re.findall(r"^decoders: (.+)$", (extended.folder / "printed.txt").read_text(), re.MULTILINE)
    assert set(used) == {"cfnsr.preprocessing.video.all_frames"}
    shard = shards.read(extended.folder / DATA / "shards/01")
    boxes, _ = face_boxes.read(extended.folder / DATA / "faces/01.parquet")
    for clip, frames in zip(shard.index["clip"], shard.arrays["frames"], strict=True):
        path = extended.folder / DATA / f"raw/01/{clip}.mp4"
        described = Clip(clip, path, "01", "sad")
        options = {**WINDOW, "frames": 4, "side_px": 32, "decoder": "pyav"}
        same, _ = face_crops(described, timeline(path), boxes[clip].boxes, **options)
        assert np.array_equal(frames, same)


def test_a_new_metric_stands_in_every_table(extended: Repository) -> None:
    folder = extended.folder / "metrics/toy"
    results = pd.read_csv(folder / "results.csv").set_index("name")
    for name in ROWS["pretrain"]:
        jobs = [extended.folder / job(name).replace("fold_1", fold) / "predictions.parquet" for fold in FOLDS]
        table = pd.concat(map(pd.read_parquet, jobs)).query("choice == 'selected'")
        likely = np.where(table["label"] == "calm", table["p_calm"], table["p_angry"])
        assert results.loc[name, "log_loss"] == pytest.approx(-np.log(likely).mean())
    assert "| Log loss |" in (folder / "report.md").read_text()
    assert "Log loss" in (folder / "report.html").read_text()


def test_a_new_augmentation_changes_training_clips_alone(extended: Repository) -> None:
    plain, inverted = (extended.folder / job("video", name) for name in ("plain", "inverted"))
    figures = "curves/plots/metrics"
    assert (plain / "predictions.parquet").read_bytes() == (inverted / "predictions.parquet").read_bytes()
    losses = [pd.read_csv(path / figures / "train/loss.tsv", sep="\t")["loss"][0] for path in (plain, inverted)]
    assert abs(losses[0] - losses[1]) > 1e-5
    for name in ("loss", "accuracy"):
        values = [(path / f"{figures}/validation/{name}.tsv").read_text().split("\t")[-1] for path in (plain, inverted)]
        assert values[0] == values[1]


def test_a_new_stage_is_known_everywhere(extended: Repository) -> None:
    """To DVC, which runs it; to `cfnsr check`, which counts it; to `cfnsr results`, which shows its time."""
    assert extended.repro("--single-item", "durations") == ["durations@toy"]
    seconds = json.loads((extended.folder / DATA / "durations.json").read_text())
    assert seconds == dict.fromkeys(ACTORS, pytest.approx(4 * 3.0))
    stages = (
        4 * len(ACTORS)
        + len(FOLDS) * sum(map(len, ROWS.values()))
        + len(["params", "published", "check", "best", "report"])
    )
    frozen = len(ACTORS) + len(FOLDS)  # their features, and the jobs that learn from them
    assert f"1 seed: {stages + frozen + 1} stages" in (extended.folder / "printed.txt").read_text()
    assert "│ durations " in extended.run("cfnsr", "results")


# --- what DVC runs again, with stubs


def test_a_new_system_runs_its_jobs_alone(stubbed: Repository, tmp_path: Path) -> None:
    """So do a change of its options and a change of its file."""
    repository = stubbed.copy(tmp_path / "repository")
    jobs = {f"train@studio-held_out-louder-{fold}-1234" for fold in FOLDS}
    recipes.system(repository)
    assert set(repository.repro()) == {*jobs, "best@studio", "report@studio"}
    repository.edit("gain: 1.5", "gain: 2.5")
    assert set(repository.repro()) == {*jobs, "best@studio", "report@studio"}
    with (repository.folder / recipes.FUSION / "louder.py").open("a") as file:
        file.write("\n")
    assert set(repository.repro()) == jobs  # of the same bytes, so that nothing that gathers them runs
    assert list(json.loads(repository.results()["studio/metrics.json"])["accuracy"])[-1] == "louder"


def stale(repository: Repository) -> set[str]:
    return set(re.findall(r"^([\w@-]+@studio[\w-]*):$", repository.dvc("status"), re.MULTILINE))


def test_an_encoder_or_feature_makes_its_readers_stale(stubbed: Repository, tmp_path: Path) -> None:
    repository = stubbed.copy(tmp_path / "repository")
    known = set(repository.entries())
    recipes.encoder(repository)
    after = stale(repository)
    assert after == {name for name in known if re.search("^(pretrain.*-video-|combine|train|report)", name)}
    recipes.feature(repository)
    assert stale(repository) - after == {
        name for name in known if re.search("^(extract|check|pretrain.*-audio-|best)", name)
    }


def test_an_option_changes_its_ablations_too(stubbed: Repository, tmp_path: Path) -> None:
    repository = stubbed.copy(tmp_path / "repository")
    ablations = ["cfnsr_no_residual", "cfnsr_no_self_attention", "cfnsr_no_cross_modal"]
    repository.list_rows(ablate=ablations)
    repository.repro("ablate")
    repository.edit("      feed_forward: 256 ", "      feed_forward: 128 ")
    changed = stale(repository)
    assert {job for job in changed if "cfnsr" in job} == {
        f"{job}-{fold}-1234"
        for job in ("train@studio-held_out-cfnsr", *(f"ablate@studio-held_out-{name}" for name in ablations))
        for fold in FOLDS
    }
    assert not [
        job for job in changed if job.startswith(("train", "ablate", "combine", "pretrain")) and "cfnsr" not in job
    ]
