from __future__ import annotations

from pathlib import Path

import pytest

from cfnsr.corpora.link_or_copy import place
from cfnsr.errors import CfnsrError


def unable(*_: object) -> None:
    raise OSError("this disk cannot")


def test_a_file_is_linked_where_the_disk_allows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.mp4").write_bytes(b"video")
    monkeypatch.setattr(link_or_copy, "reflink", unable)
    place(tmp_path / "own.mp4", tmp_path / "placed.mp4")
    assert (tmp_path / "placed.mp4").stat().st_ino == (tmp_path / "own.mp4").stat().st_ino
    monkeypatch.setattr(link_or_copy, "hardlink", unable)
    place(tmp_path / "own.mp4", tmp_path / "copied.mp4")
    assert (tmp_path / "copied.mp4").stat().st_ino != (tmp_path / "own.mp4").stat().st_ino


def test_a_disk_without_room_is_one_clear_line(tmp_path: Path, small_disk: Path) -> None:
    (tmp_path / "own.mp4").write_bytes(bytes(2_000_000))
    with pytest.raises(CfnsrError, match="the disk is full: 2 MB are needed"):
        place(tmp_path / "own.mp4", small_disk / "placed.mp4")


def test_what_was_placed_outlives_what_it_came_from(tmp_path: Path) -> None:
    source = tmp_path / "own.mp4"
    source.write_bytes(b"video")
    place(source, tmp_path / "placed.mp4")
    assert (tmp_path / "placed.mp4").read_bytes() == b"video"
    source.unlink()
    assert (tmp_path / "placed.mp4").read_bytes() == b"video"


def test_a_link_leads_to_the_file_itself(tmp_path: Path) -> None:
    (tmp_path / "real.mp4").write_bytes(b"video")
    (tmp_path / "own.mp4").symlink_to(tmp_path / "real.mp4")
    place(tmp_path / "own.mp4", tmp_path / "placed.mp4")
    assert not (tmp_path / "placed.mp4").is_symlink() and (tmp_path / "placed.mp4").read_bytes() == b"video"


def test_from_another_disk_it_is_copied(tmp_path: Path, small_disk: Path) -> None:
    (small_disk / "own.mp4").write_bytes(b"video")
    place(small_disk / "own.mp4", tmp_path / "placed.mp4")
    assert (tmp_path / "placed.mp4").read_bytes() == b"video"
    assert (tmp_path / "placed.mp4").stat().st_dev != (small_disk / "own.mp4").stat().st_dev
