"""Damaged objects of DVC's cache. The first test says what DVC does about them: nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path

import pytest

from cfnsr.errors import CfnsrError
from cfnsr.runtime import dvc_cache, dvc_repository
from tests.support.repository import Repository

CLIP = Path("data/studio/raw/01/clip_0.mp4")


def object_of(repository: Repository, path: Path) -> Path:
    md5 = hashlib.md5((repository.folder / path).read_bytes()).hexdigest()
    return repository.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def damage(path: Path, content: bytes) -> None:
    """Write a file in place, as a file system does that lost a part of it; DVC trusts files that are read-only."""
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)


@pytest.mark.parametrize("link", ["copy", "hardlink"])
def test_truncated_object_is_named_and_made_again(stubbed: Repository, tmp_path: Path, link: str) -> None:
    repository = stubbed.copy(tmp_path / "repository")
    (repository.folder / ".dvc/config").write_text(f"[core]\nanalytics = false\n[cache]\ntype = {link}\n")
    clip = repository.folder / CLIP
    whole, cached = clip.read_bytes(), object_of(repository, CLIP)
    damage(cached, whole[:100])
    shutil.rmtree(clip.parent)
    assert not repository.repro("download@studio-01") and clip.read_bytes() == whole[:100]  # DVC hands it out
    printed = repository.cli("check", status=1)
    assert len(printed.splitlines()) == 1
    assert f"damaged in DVC's cache: {CLIP}. Run `cfnsr check --mend`, then `dvc repro`" in printed
    assert f"removed {CLIP}" in repository.cli("check", "--mend")
    assert repository.repro("download@studio-01") == ["download@studio-01"]
    assert clip.read_bytes() == whole and not repository.corrupt()
    assert "stages" in repository.cli("check")


def test_only_reading_finds_a_wrong_byte(stubbed: Repository, tmp_path: Path) -> None:
    repository = stubbed.copy(tmp_path / "repository")
    cached = object_of(repository, CLIP)
    damage(cached, bytes(cached.stat().st_size))
    assert "stages" in repository.cli("check")
    assert "Run `cfnsr check --deep --mend`" in repository.cli("check", "--deep", status=1)
    assert f"removed {cached}" in repository.cli("check", "--deep", "--mend")
    assert not cached.exists()


class Cache:
    """A made-up cache, and the entries of dvc.lock that it belongs to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects = root / ".dvc/cache/files/md5"
        self.entries: dict[str, dict[str, list[dict[str, object]]]] = {}

    def add(self, content: bytes, suffix: str = "") -> str:
        digest = hashlib.md5(content).hexdigest() + suffix
        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return digest

    def path(self, md5: str) -> Path:
        return self.objects / md5[:2] / md5[2:]

    def folder(self, name: str, files: dict[str, bytes]) -> str:
        members = [{"md5": self.add(content), "relpath": path} for path, content in files.items()]
        md5 = self.add(json.dumps(members).encode(), ".dir")
        entry = {"path": name, "hash": "md5", "md5": md5, "size": sum(map(len, files.values())), "nfiles": len(files)}
        self.entries[name] = {"outs": [entry]}
        return md5

    def damaged(self, *, deep: bool = False) -> list[str]:
        return [str(found) for found in dvc_cache.damaged(self.root, self.entries, deep=deep)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    cache = Cache(tmp_path)
    monkeypatch.setattr(dvc_repository, "cache_folder", lambda root: cache.objects)
    return cache


def test_empty_object_is_damaged_and_an_absent_one_is_not(cache: Cache) -> None:
    cache.folder("data/a", {"x": b"one", "y": b"two"})
    cache.folder("data/b", {"x": b"three"})
    first, second, third = (cache.path(hashlib.md5(content).hexdigest()) for content in (b"one", b"two", b"three"))
    third.write_bytes(b"")
    assert cache.damaged() == [str(cache.root / "data/b/x")]
    first.unlink()
    third.unlink()
    assert cache.damaged() == []
    second.write_bytes(b"tw")  # the size of a folder whose files are not all cached is unknown
    assert cache.damaged() == [str(cache.root / "data/a/y")]


@pytest.mark.parametrize("content", [b"", b"[{", b"[]", b"\xff"])
def test_damaged_list_of_files_is_named_by_its_folder(cache: Cache, content: bytes) -> None:
    cache.path(cache.folder("data/a", {"x": b"one"})).write_bytes(content)
    assert cache.damaged() == [str(cache.root / "data/a")]


def test_size_that_dvc_took_from_a_damaged_object_hides_nothing(cache: Cache) -> None:
    cache.folder("data/a", {"x": b"one"})
    entry = cache.entries["data/a"]["outs"][0]
    cache.entries["next"] = {"deps": [dict(entry)]}
    entry["size"] = 2
    assert cache.damaged() == []  # sound, though the sizes contradict each other
    cache.path(hashlib.md5(b"one").hexdigest()).write_bytes(b"on")
    assert cache.damaged() == [str(cache.root / "data/a/x")]


def test_folder_in_place_of_an_object_is_removed(cache: Cache) -> None:
    cache.folder("data/a", {"x": b"one"})
    path = cache.path(hashlib.md5(b"one").hexdigest())
    path.unlink()
    (path / "within").mkdir(parents=True)
    (found,) = dvc_cache.damaged(cache.root, cache.entries)
    assert str(found) == str(cache.root / "data/a/x") and dvc_cache.remove(found) == [path] and not path.exists()


@pytest.mark.parametrize("members", [[{"md5": 5}], [{"relpath": "x"}], [{"relpath": "x", "md5": None}]])
def test_list_of_anything_is_no_traceback(cache: Cache, members: list[dict[str, object]]) -> None:
    md5 = cache.add(json.dumps(members).encode(), ".dir")
    cache.entries = {"stage": {"outs": [{"path": "data/a", "hash": "md5", "md5": md5, "size": 3}]}}
    assert cache.damaged(deep=True) == []


def test_objects_of_earlier_runs_are_read_too(cache: Cache) -> None:
    cache.folder("data/a", {"x": b"one"})
    earlier = cache.path(cache.add(b"earlier"))
    earlier.write_bytes(b"ear")
    (earlier.parent / ".half-written.tmp").touch()
    assert cache.damaged() == [] and cache.damaged(deep=True) == [str(earlier)]


def test_remedy_of_an_object_that_cannot_be_removed(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.path(cache.folder("data/a", {"x": b"one"})).write_bytes(b"")
    (found,) = dvc_cache.damaged(cache.root, cache.entries)

    def refused(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(CfnsrError, match=r"cannot be removed \(Permission denied\)\. Have its owner run"):
        dvc_cache.remove(found)


@pytest.mark.parametrize("kind", ["outs", "deps"])
@pytest.mark.parametrize(
    ("md5", "path"),
    [
        ("..//{user}", "data/a"),
        ("ab/{user}", "data/a"),
        (5, "data/a"),
        ("{damaged}", "{user}"),
        ("{damaged}", "data/../../notes"),
    ],
)
def test_file_of_the_user_is_never_removed(cache: Cache, tmp_path: Path, kind: str, md5: object, path: str) -> None:
    """The md5 or the path of a foreign dvc.lock names a file of the user."""
    user = tmp_path / "notes"
    user.write_text("mine")
    cache.root = tmp_path / "repository"
    (cache.root / ".dvc").mkdir(parents=True)
    (cache.root / "data").mkdir()
    damaged = cache.add(b"whole")
    cache.path(damaged).write_bytes(b"who")
    md5 = md5.format(user=user, damaged=damaged) if isinstance(md5, str) else md5
    entry = {"path": path.format(user=user), "hash": "md5", "md5": md5, "size": 5}
    cache.entries = {"stage": {kind: [entry]}}
    for item in dvc_cache.damaged(cache.root, cache.entries, deep=True):
        dvc_cache.remove(item)
    assert user.read_text() == "mine" and not cache.path(damaged).exists()


def test_code_that_stages_depend_on_is_never_removed(cache: Cache) -> None:
    md5 = cache.add(b"code")
    cache.path(md5).write_bytes(b"")
    (cache.root / "model.py").write_text("edited")
    cache.entries = {"stage": {"deps": [{"path": "model.py", "hash": "md5", "md5": md5, "size": 4}]}}
    (found,) = dvc_cache.damaged(cache.root, cache.entries, deep=True)
    assert dvc_cache.remove(found) == [cache.path(md5)] and (cache.root / "model.py").read_text() == "edited"


def test_list_that_names_files_outside_is_not_followed(cache: Cache, tmp_path: Path) -> None:
    """The list of a folder is sound, and the objects of its files are damaged."""
    cache.root = tmp_path / "repository"
    (cache.root / ".dvc").mkdir(parents=True)
    (tmp_path / "notes").write_text("mine")
    for path in ("../../notes", str(tmp_path / "notes")):
        cache.folder("data/a", {path: b"whole"})
        cache.path(hashlib.md5(b"whole").hexdigest()).write_bytes(b"")
        for item in dvc_cache.damaged(cache.root, cache.entries, deep=True):
            dvc_cache.remove(item)
    assert (tmp_path / "notes").read_text() == "mine"


def test_five_thousand_objects_take_less_than_a_second(cache: Cache) -> None:
    """Of the processor's time: how long it has to wait for the disk, or for other tests, is not its own."""
    for speaker in range(50):
        cache.folder(f"data/{speaker}", {f"{clip}.mp4": f"{speaker} {clip}".encode() for clip in range(100)})
    began_s = time.process_time()
    assert cache.damaged() == []
    assert time.process_time() - began_s < 1
