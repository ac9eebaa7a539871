from __future__ import annotations

import re
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cfnsr.corpora import unpack
from cfnsr.errors import CfnsrError
from tests.support.full_disk import needs_full_device

VIDEO = np.random.default_rng(0).bytes(40_000)


def packed(path: Path, entries: dict[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name, content, zipfile.ZIP_DEFLATED)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def mp4(name: str) -> bool:
    return name.endswith(".mp4")


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("Actor_01/link.mp4")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def test_needed_files_come_out_without_folders(folder: Path) -> None:
    archive = packed(folder.parent / "a.zip", {"Actor_01/b.mp4": VIDEO, "Actor_01/a.mp4": b"a", "Actor_01/x.txt": b"x"})
    assert unpack.unpack(archive, folder, mp4) == [folder / "a.mp4", folder / "b.mp4"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a.mp4": b"a", "b.mp4": VIDEO}


HARMFUL: dict[str, tuple[dict[Any, bytes], str]] = {
    "a name that climbs": ({"../evil.mp4": b"x"}, r"'\.\./evil\.mp4', which is outside the folder"),
    "a name that climbs within": ({"Actor_01/../../evil.mp4": b"x"}, "is outside the folder"),
    "a name that climbs as on Windows": ({"..\\evil.mp4": b"x"}, "is outside the folder"),
    "an absolute name": ({"/tmp/evil.mp4": b"x"}, "is outside the folder"),
    "a name with a drive": ({"C:/evil.mp4": b"x"}, "is outside the folder"),
    "harm in a file that is not needed": ({"good.mp4": b"x", "../evil.txt": b"x"}, "is outside the folder"),
    "a link": ({link(): b"/etc/passwd"}, "link.mp4', which is a link"),
    "a bomb": ({"Actor_01/a.mp4": bytes(30_000_000)}, r"a\.mp4', 30,000,000 bytes packed into 29,"),
    "one name twice": ({"Actor_01/a.mp4": b"x", "Actor_02/a.mp4": b"y"}, r"contains a\.mp4 twice"),
}


@pytest.mark.parametrize("harm", HARMFUL)
def test_harmful_archive_is_refused_whole(folder: Path, harm: str) -> None:
    entries, message = HARMFUL[harm]
    archive = packed(folder.parent / "a.zip", entries)
    with pytest.raises(CfnsrError, match=rf"a\.zip: contains .*{message}|a\.zip: {message}"):
        unpack.unpack(archive, folder, mp4)
    assert not list(folder.iterdir()) and not (folder.parent / "evil.mp4").exists()


@settings(max_examples=60)
@given(end=st.integers(0, 40_000), flips=st.lists(st.integers(0, 40_000), max_size=3))
def test_damaged_archive_gives_right_bytes_or_error(
    tmp_path_factory: pytest.TempPathFactory, end: int, flips: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("out")
    archive = packed(folder.parent / f"{folder.name}.zip", {"Actor_01/a.mp4": VIDEO, "Actor_01/b.mp4": b"b"})
    damaged = bytearray(archive.read_bytes())
    for position in flips:
        damaged[position] ^= 0x55
    archive.write_bytes(damaged[: len(damaged) - end])
    try:
        written = unpack.unpack(archive, folder, mp4)
    except CfnsrError as error:
        assert "\n" not in str(error) and archive.name in str(error)
    else:
        right = {"a.mp4": VIDEO, "b.mp4": b"b"}
        assert all(path.read_bytes() == right[path.name] for path in written if path.name in right)


def test_full_disk_fails_before_anything_is_written(tmp_path: Path, small_disk: Path) -> None:
    contents = {f"{number}.mp4": np.random.default_rng(number).bytes(300_000) for number in range(5)}
    archive = packed(tmp_path / "a.zip", contents)
    with pytest.raises(CfnsrError, match=re.escape("the disk is full: 2 MB are needed, 1 MB are free")):
        unpack.unpack(archive, small_disk, mp4)
    assert not list(small_disk.iterdir())


@needs_full_device
def test_disk_that_fills_up_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = packed(folder.parent / "a.zip", {"a.mp4": VIDEO})
    real = Path.open

    def full_when_written(path: Path, mode: str) -> Any:
        return real(Path("/dev/full"), "wb") if mode == "xb" else real(path, mode)

    monkeypatch.setattr(Path, "open", full_when_written)
    with pytest.raises(CfnsrError, match="the disk is full"):
        unpack.unpack(archive, folder, mp4)


def test_unknown_compression_is_refused(folder: Path) -> None:
    archive = packed(folder.parent / "a.zip", {"a.mp4": VIDEO})
    damaged = bytearray(archive.read_bytes())
    index = damaged.index(b"PK\x01\x02")
    damaged[8], damaged[index + 10] = 99, 99  # the method, before the file and in the index
    archive.write_bytes(damaged)
    with pytest.raises(CfnsrError, match="is not a complete zip archive"):
        unpack.unpack(archive, folder, mp4)
    assert not list(folder.iterdir())


def test_archive_with_a_password_is_refused(folder: Path) -> None:
    archive = packed(folder.parent / "a.zip", {"a.mp4": VIDEO})
    damaged = bytearray(archive.read_bytes())
    damaged[6] |= 1  # the flag of encryption, before the file and in the index
    damaged[damaged.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(damaged)
    with pytest.raises(CfnsrError, match=r"is not a complete zip archive .*encrypted"):
        unpack.unpack(archive, folder, mp4)
