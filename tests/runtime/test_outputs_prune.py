from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cfnsr.errors import CfnsrError
from cfnsr.runtime import prune


def grown(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.touch()
        else:
            path.mkdir(exist_ok=True)
    return folder


def test_what_is_not_wanted_goes_and_the_rest_stays(tmp_path: Path) -> None:
    folder = grown(
        tmp_path, "video/fold_1.json", "video/fold_2.json", "old/fold_1.json", "stray.txt", "video/deep/x.txt"
    )
    gone = prune.keep(folder, ["video/fold_1.json"])
    assert gone == [folder / name for name in ("old", "stray.txt", "video/deep", "video/fold_2.json")]
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == ["video", "video/fold_1.json"]


def test_a_wanted_folder_stays_whole_and_half_written_outputs_are_not_touched(tmp_path: Path) -> None:
    folder = grown(tmp_path, "01/clips.parquet", "02/clips.parquet", ".partial-03.x/frames.npy", "01/deep/x.txt")
    assert prune.keep(folder, ["01"]) == [folder / "02"]
    assert (folder / "01/deep/x.txt").exists() and (folder / ".partial-03.x/frames.npy").exists()


def test_what_is_missing_is_named_and_nothing_is_deleted(tmp_path: Path) -> None:
    folder = grown(tmp_path, "01/clips.parquet", "02/clips.parquet")
    with pytest.raises(CfnsrError, match=r"03: is missing. Run `dvc repro`"):
        prune.keep(folder, ["01", "03"])
    assert (folder / "02").exists()


def test_a_link_is_removed_and_what_it_points_to_is_not(tmp_path: Path) -> None:
    folder, precious = grown(tmp_path / "shards", "01/x.npy"), grown(tmp_path / "precious", "x.npy")
    (folder / "02").symlink_to(precious)
    assert prune.keep(folder, ["01"]) == [folder / "02"]
    assert (precious / "x.npy").exists() and not (folder / "02").is_symlink()


names = st.sets(st.sampled_from([f"{system}/{fold}.json" for system in "abc" for fold in "123"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(there=names, wanted=names)
def test_afterwards_there_is_just_what_is_wanted(
    tmp_path_factory: pytest.TempPathFactory, there: set[str], wanted: set[str]
) -> None:
    folder = grown(tmp_path_factory.mktemp("cells"), *there)
    if wanted <= there:
        prune.keep(folder, wanted)
        assert {str(path.relative_to(folder)) for path in folder.rglob("*.json")} == wanted
    else:
        with pytest.raises(CfnsrError, match="is missing"):
            prune.keep(folder, wanted)
