from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cfnsr.runtime.outputs import atomic_file, atomic_folder


def test_a_file_that_is_linked_to_a_cache_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    out, cached = tmp_path / "out.json", tmp_path / "cached"
    cached.write_text("old")
    os.link(cached, out)
    with atomic_file(out) as partial:
        partial.write_text("new")
        assert out.read_text() == "old"
    assert (out.read_text(), cached.read_text()) == ("new", "old")
    assert stat.S_IMODE(out.stat().st_mode) == 0o644


def test_a_folder_whose_files_are_linked_to_a_cache_is_replaced_whole(tmp_path: Path) -> None:
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
def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path: Path, writer) -> None:
    with pytest.raises(ZeroDivisionError), writer(tmp_path / "out"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("writer", [atomic_file, atomic_folder])
def test_what_a_killed_run_left_of_this_output_is_cleared_and_of_others_is_not(tmp_path: Path, writer) -> None:
    abandoned, others = tmp_path / ".partial-out.x1", tmp_path / ".partial-output.x1"
    abandoned.mkdir()
    (abandoned / "half").touch()
    others.touch()
    with writer(tmp_path / "out"):
        assert not abandoned.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"out", others.name}


@pytest.mark.parametrize("writer", [atomic_file, atomic_folder])
def test_a_run_that_should_have_ended_cannot_overwrite_its_successor(tmp_path: Path, writer) -> None:
    """Two writers of one output: the earlier one loses its ground when the later begins."""
    out = tmp_path / "out"
    earlier, later = writer(out), writer(out)
    earlier.__enter__()
    with later as partial:
        (partial / "mark" if writer is atomic_folder else partial).write_text("later")
    with pytest.raises(FileNotFoundError):
        earlier.__exit__(None, None, None)
    assert (out / "mark" if writer is atomic_folder else out).read_text() == "later"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
