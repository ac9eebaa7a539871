"""The commands that errors print are run, and what was damaged is as before. With stubs; DVC is the point here."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from cfnsr.runtime import stored
from tests.runtime.test_dvc_cache import damage, object_of
from tests.support.repository import Repository

JOB = Path("data/studio/jobs/held_out/video/fold_1/1234")
CLIPS = Path("data/studio/raw/01")


def follow(repository: Repository, remedy: str) -> list[str]:
    """Run the commands of a remedy, and return the stages that ran."""
    printed = [repository.run("sh", "-c", command) for command in re.findall("`(.+?)`", remedy)]
    return re.findall(r"^Running stage '(.+)':", "".join(printed), re.MULTILINE)


def damage_unseen(path: Path) -> None:
    """Fill a file with zeros, and leave its size and time, by which DVC knows it, as they are."""
    before = path.stat()
    damage(path, bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_remedy_of_stored_files_mends_each_damage(stubbed: Repository, tmp_path: Path) -> None:
    repository = stubbed.copy(tmp_path / "repository")
    repository.dvc("status")  # after which DVC knows sizes and times of the copy
    names = (JOB / "predictions.parquet", JOB / "record.json", JOB / "curves/test.csv", "data/studio/faces/01.parquet")
    names = (*names, "data/studio/manifest.json", "metrics/studio/results.csv", CLIPS / "clip_0.mp4")
    paths = [repository.folder / name for name in names]
    before = [path.read_bytes() for path in paths]
    changed, unseen, cached, folder, missing, in_git, other = paths
    changed.write_bytes(b"")
    damage_unseen(unseen)
    damage(object_of(repository, names[2]), before[2][:10])
    cached.unlink()
    shutil.copy2(object_of_bytes(repository, before[2]), cached)
    folder.unlink()
    folder.mkdir()
    missing.unlink()
    in_git.write_bytes(b"")
    damage_unseen(other)
    lock = repository.lock
    follow(repository, stored.AGAIN)
    assert [path.read_bytes() for path in paths] == before
    assert repository.lock == lock and not repository.corrupt()


def test_clip_that_dvc_has_recorded_is_fetched(stubbed: Repository, tmp_path: Path) -> None:
    """A clip that was damaged before DVC saw it is in dvc.lock, in the cache and in the cache of runs."""
    repository = stubbed.copy(tmp_path / "repository")
    clip, lock = repository.folder / CLIPS / "clip_0.mp4", repository.lock
    whole = clip.read_bytes()
    damage(clip, whole[:10])
    repository.dvc("commit", "-f", "download@studio-01")
    assert repository.lock != lock
    (repository.folder / CLIPS / "clip_1.mp4").unlink(missing_ok=True)
    damage(object_of_bytes(repository, whole), whole[:20])  # `-f` alone would put it in the new clip's place
    assert follow(repository, stored.fetching(CLIPS)) == ["download@studio-01"]
    assert clip.read_bytes() == whole and repository.lock == lock and not repository.corrupt()


def object_of_bytes(repository: Repository, content: bytes) -> Path:
    path = repository.folder / "content"
    path.write_bytes(content)
    found = object_of(repository, Path("content"))
    path.unlink()
    return found
