from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cfnsr.errors import CfnsrError
from cfnsr.runtime.outputs import atomic_file, atomic_folder, prune, writing


def test_a_file_linked_to_a_cache_is_replaced(tmp_path: Path) -> None:
    out, cached = tmp_path / "out.json", tmp_path / "cached"
    cached.write_text("old")
    os.link(cached, out)
    with atomic_file(out) as partial:
        partial.write_text("new")
        assert out.read_text() == "old"
    assert (out.read_text(), cached.read_text()) == ("new", "old")
    assert stat.S_IMODE(out.stat().st_mode) == 0o644


def test_a_folder_linked_to_a_cache_is_replaced(tmp_path: Path) -> None:
    out, cached = tmp_path / "out", tmp_path / "cached"
    out.mkdir()
    cached.write_text("old")
    os.link(cached, out / "a")
    (out / "gone").touch()
    with atomic_folder(out) as partial:
        (partial / "a").write_text("new")
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("a", "new")]
    assert cached.read_text() == "old" and stat.S_IMODE(out.stat().st_mode) == 0o755


@pytest.mark.parametrize("writer", [atomic_file, atomic_folder])
def test_the_disk_has_the_bytes_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def flush(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        events.append(
            str(path.relative_to(tmp_path)).partition("/deep")[2] or ("parent" if path == tmp_path else "out")
        )
        fsync(handle)

    def rename(path: Path, target: Path) -> Path:
        events.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "replace", rename)
    with writer(tmp_path / "out") as partial:
        if partial.is_dir():
            (partial / "deep").mkdir()
            (partial / "deep/file").write_text("bytes")
    assert events[-2:] == ["rename", "parent"] and events[-3] == "out"
    assert ("/file" in events) == (writer is atomic_folder)


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out.json"
    problem = r"file/out\.json: cannot be written \(.*\)\. Give another path"
    with pytest.raises(CfnsrError, match=problem), writing(out), atomic_file(out):
        pass


@pytest.mark.parametrize("writer", [atomic_file, atomic_folder])
def test_an_error_leaves_nothing_behind(tmp_path: Path, writer) -> None:
    with pytest.raises(ZeroDivisionError), writer(tmp_path / "out"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("writer", [atomic_file, atomic_folder])
def test_leftovers_of_this_output_alone_are_removed(tmp_path: Path, writer) -> None:
    abandoned, others = tmp_path / ".partial-out.x1", tmp_path / ".partial-output.x1"
    abandoned.mkdir()
    (abandoned / "half").touch()
    others.touch()
    with writer(tmp_path / "out"):
        assert not abandoned.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"out", others.name}


@pytest.mark.parametrize("writer", [atomic_file, atomic_folder])
def test_an_earlier_writer_cannot_overwrite_a_later_one(tmp_path: Path, writer) -> None:
    """A killed run whose process is still alive fails once the next run has begun to write."""
    out = tmp_path / "out"
    earlier, later = writer(out), writer(out)
    earlier.__enter__()
    with later as partial:
        (partial / "mark" if writer is atomic_folder else partial).write_text("later")
    with pytest.raises(FileNotFoundError):
        earlier.__exit__(None, None, None)
    assert (out / "mark" if writer is atomic_folder else out).read_text() == "later"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def create(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.touch()
        else:
            path.mkdir(exist_ok=True)
    return folder


def test_unlisted_outputs_are_deleted(tmp_path: Path) -> None:
    folder = create(
        tmp_path, "video/fold_1.json", "video/fold_2.json", "old/fold_1.json", "stray.txt", "video/deep/x.txt"
    )
    deleted = prune(folder, ["video/fold_1.json"])
    assert deleted == [folder / name for name in ("old", "stray.txt", "video/deep", "video/fold_2.json")]
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == ["video", "video/fold_1.json"]


def test_listed_folders_and_hidden_files_stay(tmp_path: Path) -> None:
    folder = create(tmp_path, "01/clips.parquet", "02/clips.parquet", ".partial-03.x/frames.npy", "01/deep/x.txt")
    assert prune(folder, ["01"]) == [folder / "02"]
    assert (folder / "01/deep/x.txt").exists() and (folder / ".partial-03.x/frames.npy").exists()


def test_a_missing_output_is_named_before_any_deletion(tmp_path: Path) -> None:
    folder = create(tmp_path, "01/clips.parquet", "02/clips.parquet")
    with pytest.raises(CfnsrError, match=r"03: is missing. Run `dvc repro`"):
        prune(folder, ["01", "03"])
    assert (folder / "02").exists()


def test_a_link_is_removed_without_its_target(tmp_path: Path) -> None:
    folder, precious = create(tmp_path / "shards", "01/x.npy"), create(tmp_path / "precious", "x.npy")
    (folder / "02").symlink_to(precious)
    assert prune(folder, ["01"]) == [folder / "02"]
    assert (precious / "x.npy").exists() and not (folder / "02").is_symlink()


names = st.sets(st.sampled_from([f"{system}/{fold}.json" for system in "abc" for fold in "123"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(existing=names, listed=names)
def test_exactly_the_listed_outputs_remain(
    tmp_path_factory: pytest.TempPathFactory, existing: set[str], listed: set[str]
) -> None:
    folder = create(tmp_path_factory.mktemp("cells"), *existing)
    if listed <= existing:
        prune(folder, listed)
        assert {str(path.relative_to(folder)) for path in folder.rglob("*.json")} == listed
    else:
        with pytest.raises(CfnsrError, match="is missing"):
            prune(folder, listed)
