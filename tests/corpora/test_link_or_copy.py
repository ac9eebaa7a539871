from __future__ import annotations

from pathlib import Path

import pytest

from cfnsr.corpora import link_or_copy as module
from cfnsr.corpora.link_or_copy import link_or_copy
from cfnsr.errors import CfnsrError


def unable(*_: object) -> None:
    raise OSError("this disk cannot")


def test_file_is_hard_linked_on_request_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.mp4").write_bytes(b"video")
    monkeypatch.setattr(module, "reflink", unable)
    link_or_copy(tmp_path / "own.mp4", tmp_path / "apart.mp4")
    assert (tmp_path / "apart.mp4").stat().st_ino != (tmp_path / "own.mp4").stat().st_ino
    link_or_copy(tmp_path / "own.mp4", tmp_path / "linked.mp4", hard_link=True)
    assert (tmp_path / "linked.mp4").stat().st_ino == (tmp_path / "own.mp4").stat().st_ino
    monkeypatch.setattr(module, "hardlink", unable)
    link_or_copy(tmp_path / "own.mp4", tmp_path / "copied.mp4", hard_link=True)
    assert (tmp_path / "copied.mp4").stat().st_ino != (tmp_path / "own.mp4").stat().st_ino


def test_disk_without_room_is_one_clear_line(tmp_path: Path, small_disk: Path) -> None:
    (tmp_path / "own.mp4").write_bytes(bytes(2_000_000))
    with pytest.raises(CfnsrError, match="the disk is full: 2 MB are needed"):
        link_or_copy(tmp_path / "own.mp4", small_disk / "linked.mp4")


def test_linked_file_survives_its_source(tmp_path: Path) -> None:
    source = tmp_path / "own.mp4"
    source.write_bytes(b"video")
    link_or_copy(source, tmp_path / "linked.mp4")
    assert (tmp_path / "linked.mp4").read_bytes() == b"video"
    source.unlink()
    assert (tmp_path / "linked.mp4").read_bytes() == b"video"


def test_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.mp4").write_bytes(b"video")
    (tmp_path / "own.mp4").symlink_to(tmp_path / "real.mp4")
    link_or_copy(tmp_path / "own.mp4", tmp_path / "linked.mp4")
    assert not (tmp_path / "linked.mp4").is_symlink() and (tmp_path / "linked.mp4").read_bytes() == b"video"


def test_file_of_another_disk_is_copied(tmp_path: Path, small_disk: Path) -> None:
    (small_disk / "own.mp4").write_bytes(b"video")
    link_or_copy(small_disk / "own.mp4", tmp_path / "linked.mp4", hard_link=True)
    assert (tmp_path / "linked.mp4").read_bytes() == b"video"
    assert (tmp_path / "linked.mp4").stat().st_dev != (small_disk / "own.mp4").stat().st_dev
