"""Kills, and two at once: the next `dvc repro` ends where an unbroken one would have. With stubs."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest

from cfnsr.errors import CfnsrError
from cfnsr.runtime import dvc_repository
from tests.support.holds import wait_until
from tests.support.repository import Repository

SEED = random.randrange(10**6)  # printed, so that a failure can be repeated
TORN = ("dvc.lock", ".dvc/tmp/rwlock")


def alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def kill(dvc: subprocess.Popen[str], repository: Repository) -> None:
    """Kill DVC; the stages that it ran must end by themselves."""
    working = list(repository.working())
    dvc.kill()
    wait_until(lambda: not alive(working), "a stage ends with its DVC", 10)
    dvc.communicate()


def repair(repository: Repository) -> None:
    """Do what `cfnsr check` says where DVC was killed while it wrote its own files."""
    for _ in range(1 + len(TORN)):
        try:
            dvc_repository.check_files(repository.folder)
        except CfnsrError:
            printed = repository.cli("check", status=1)
        else:
            return
        (torn,) = [name for name in TORN if f"{name}: is incomplete" in printed]
        assert "elete it" in printed and "Traceback" not in printed
        (repository.folder / torn).unlink()
    raise AssertionError(printed)


def test_runs_killed_in_every_stage_end_alike(stubbed: Repository, tmp_path: Path) -> None:
    """From nothing; in each stage in turn, with half of an output written, the stage or DVC is killed."""
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    broken = stubbed.clone(tmp_path / "broken")
    (broken.folder / "dvc.lock").unlink()
    stages = list(dict.fromkeys(name.partition("@")[0] for name in stubbed.stages))
    assert len(stages) == 12
    for number, stage in enumerate(stages, chance.randrange(2)):
        hold = broken.hold(stage)
        dvc = broken.start("dvc", "repro", "--no-run-cache")
        process = hold.process(dvc)
        if number % 2:
            kill(dvc, broken)
            assert not alive([process])
        else:
            process.send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM]))
            printed, _ = dvc.communicate(timeout=60)
            assert dvc.returncode == 255 and f"failed to reproduce '{stage}" in printed
        hold.release()
        repair(broken)
    broken.dvc("repro")
    assert broken.entries() == stubbed.entries()
    assert broken.results() == stubbed.results()
    assert not broken.corrupt()
    assert not broken.repro()
    assert not list((broken.folder / "data").rglob(".partial-*"))


def test_dvc_may_be_killed_at_any_moment(stubbed: Repository, tmp_path: Path) -> None:
    """While it reads, hashes, saves and writes its lock: at moments drawn by chance, and as its lock changes."""
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    broken = stubbed.copy(tmp_path / "broken")
    lock = broken.folder / "dvc.lock"
    for number in range(4):
        before = lock.stat() if lock.exists() else None
        dvc = broken.start("dvc", "repro", "-f")
        if number % 2:
            wait_until(lambda before=before: lock.exists() and lock.stat() != before, "DVC writes its lock")
        else:
            time.sleep(chance.uniform(0.3, 3))
        kill(dvc, broken)
        repair(broken)
    broken.dvc("repro")
    assert broken.entries() == stubbed.entries() and broken.results() == stubbed.results()
    assert not broken.corrupt() and not broken.repro()


@pytest.fixture
def linked(stubbed: Repository, tmp_path: Path) -> Repository:
    """A repository whose outputs are hard links into the cache, where a stray write could do harm."""
    repository = stubbed.copy(tmp_path / "linked")
    (repository.folder / ".dvc/config").write_text("[core]\nanalytics = false\n[cache]\ntype = hardlink\n")
    return repository


def test_a_stage_ends_with_its_dvc(linked: Repository) -> None:
    hold = linked.hold("extract")
    dvc = linked.start("dvc", "repro", "-f", "extract@studio-01")
    orphan = hold.process(dvc)
    kill(dvc, linked)
    assert not alive([orphan])


@pytest.mark.parametrize("moment", ["start", "half"])
def test_an_orphan_cannot_change_the_cache(linked: Repository, moment: str) -> None:
    """A stage that outlives its DVC writes when the next run, with another number, has ended."""
    linked.edit("lifeline.hold()", "pass", "stages/__init__.py")
    linked.edit("    side_px: 64", "    side_px: 48")
    hold = linked.hold("extract", moment=moment)  # pyright: ignore[reportArgumentType]
    dvc = linked.start("dvc", "repro", "extract@studio-01")
    orphan = hold.process(dvc)
    dvc.kill()
    dvc.wait()
    assert dvc.stdout is not None
    dvc.stdout.close()
    assert alive([orphan]), "it ended with its DVC: this test shows nothing"
    linked.edit("    side_px: 48", "    side_px: 40")
    linked.dvc("repro", "extract@studio-01")
    frames = linked.folder / "data/studio/shards/01/frames.npy"
    right = frames.read_bytes()
    assert frames.stat().st_nlink == 2, "not linked to the cache: this test shows nothing"
    hold.release()
    wait_until(lambda: not alive([orphan]), "the orphan ends")
    # One that had begun to write has lost its folder; one that had not replaces the output, but not what is cached.
    assert (frames.read_bytes() == right) == (moment == "half")
    assert not linked.corrupt()
    linked.dvc("repro", "extract@studio-01")
    assert frames.read_bytes() == right
    assert not linked.corrupt() and not linked.repro("extract@studio-01")


@pytest.mark.parametrize(("share", "target"), [(0.0, "check"), (0.31, "report"), (0.99, "report")])
def test_a_torn_lock_file_is_repaired(stubbed: Repository, tmp_path: Path, share: float, target: str) -> None:
    repository = stubbed.copy(tmp_path / "repository")
    whole = repository.lock
    (repository.folder / "dvc.lock").write_bytes(whole[: int(share * len(whole))])
    repair(repository)
    assert not repository.repro(target)
    known = repository.known_entries()
    assert known == {name: stubbed.entries()[name] for name in known} and f"{target}@studio" in known


def test_a_torn_list_of_processes_is_repaired(stubbed: Repository, tmp_path: Path) -> None:
    repository = stubbed.copy(tmp_path / "repository")
    path = repository.folder / ".dvc/tmp/rwlock"
    whole = path.read_bytes()
    for share in (0.0, 0.31, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        repair(repository)
    assert not repository.repro() and repository.entries() == stubbed.entries()


def test_the_second_of_two_runs_is_refused(stubbed: Repository, tmp_path: Path) -> None:
    repository = stubbed.copy(tmp_path / "repository")
    repository.edit("    side_px: 64", "    side_px: 48")
    hold = repository.hold("extract")
    first = repository.start("dvc", "repro", "extract@studio-01")
    hold.process(first)
    printed = repository.dvc("repro", "extract@studio-01", status=255)
    assert re.search(r"is busy, it is being blocked by:\s+\(PID \d+\): .*dvc repro", printed)
    assert "Traceback" not in printed
    hold.release()
    first.communicate()
    assert first.returncode == 0
    assert not repository.repro("extract@studio-01") and not repository.corrupt()
