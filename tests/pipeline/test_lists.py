"""Lists of params.yaml that grow and shrink: what they no longer name leaves no trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.repository import Repository

OF_ACTOR_04 = [f"{stage}@studio-04" for stage in ("download", "crop", "extract")]


def cells(systems: list[str], folds: list[str]) -> set[str]:
    stages = {"video": "pretrain", "audio": "pretrain"}
    return {f"{stages.get(name, 'train')}@studio-held_out-{name}-{fold}-1234" for name in systems for fold in folds}


def test_lists_that_grow_run_what_is_new_and_lists_that_shrink_run_nothing_but_the_readers(
    finished: Repository, tmp_path: Path
) -> None:
    there = finished.copy(tmp_path / "there")

    there.edit("  - '03'\n", "  - '03'\n  - '04'\n")
    there.edit("  fold_2:\n    - '02'\n", "  fold_2:\n    - '02'\n  fold_3:\n    - '04'\n")
    left = there.folder / "data/.resume/data/studio/cells/held_out/dropped/fold_1/1234"
    left.mkdir(parents=True)
    (left / "killed.pt").touch()
    grown = there.repro()
    assert not left.parents[1].exists()
    everything = cells(["video", "audio", "averaging", "cfnsr"], ["fold_1", "fold_2", "fold_3"])
    assert grown[:3] == OF_ACTOR_04 and grown[3] == "check@studio"
    assert set(grown[4:]) == everything | {"best@studio", "report@studio"}

    there.run("git", "checkout", "-q", "params.yaml")
    assert there.repro() == ["check@studio", "best@studio", "report@studio"]
    assert there.entries() == finished.entries() and there.results() == finished.results()
    data = there.folder / "data/studio"
    assert sorted(path.name for path in (data / "shards").iterdir()) == ["01", "02", "03"]
    for kind in ("cells", "predictions", "curves", "models"):
        assert {path.name for path in (data / kind).glob("held_out/*/*")} == {"fold_1", "fold_2"}

    text = (there.folder / "params.yaml").read_text()
    (there.folder / "params.yaml").write_text(text.replace("    - averaging\n", ""))
    assert there.repro() == ["best@studio", "report@studio"]
    for kind in ("cells", "predictions", "curves", "models"):
        assert {path.name for path in (data / kind / "held_out").iterdir()} == {"video", "audio", "cfnsr"}
    files = there.results()
    page = files.pop("studio/report.html")
    assert not [name for name, text in files.items() if b"averaging" in text or "averaging" in name]
    assert page.count(b"averaging") == 1  # among the params that differ from the preset
    there.commit("smaller")

    stranger = there.clone(tmp_path / "stranger")
    assert set(stranger.repro()) == set(stranger.stages)
    assert stranger.entries() == there.entries() and stranger.results() == there.results()
    assert not stranger.run("git", "status", "--porcelain")


@pytest.mark.parametrize(
    ("stage", "lost"),
    [
        ("check", "shards/02"),
        ("report", "cells/held_out/cfnsr/fold_2/1234.json"),
        ("report", "predictions/held_out/video/fold_1/1234.parquet"),
        ("best", "models/held_out/cfnsr/fold_1/1234"),
    ],
)
def test_a_reader_fails_on_what_is_missing_and_deletes_nothing(
    finished: Repository, tmp_path: Path, stage: str, lost: str
) -> None:
    there = finished.copy(tmp_path / "there")
    data = there.folder / "data/studio"
    (data / lost).rename(tmp_path / "elsewhere")
    stray = data / Path(lost).parts[0] / "stray"
    stray.mkdir()
    folders = [f"data/studio/{name}" for name in ("cells", "predictions", "curves")]
    arguments = {
        "check": ["studio", "data/studio/shards", "data/studio/manifest.json", "data/studio/validation.json"],
        "best": ["data/studio/predictions", "data/studio/models", "data/studio/manifest.json", "data/studio/best"],
        "report": [*folders, "data/studio/shards", "data/studio/manifest.json", "metrics/studio"],
    }
    said = there.run("python", "-m", f"stages.{stage}", *arguments[stage], status=1)
    assert f"data/studio/{lost}: is missing. Run `dvc repro`" in said and "Traceback" not in said
    assert stray.exists()
