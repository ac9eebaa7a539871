"""Kills, and two at once: the next `dvc repro` ends where an unbroken one would have."""

from __future__ import annotations

import random
import re
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from cfnsr.runtime import dvc_repository
from cfnsr.errors import CfnsrError
from tests.support.repository import Repository

SEED = random.randrange(10**6)
STAGES = ("download", "landmarks", "crop", "extract", "check", "pretrain", "train", "report")


def left(repository: Repository, stage: str) -> None:
    """See to it that DVC has something of ``stage`` to run: a kill that came too late may have let it end."""
    lock = repository.folder / "dvc.lock"
    yaml = YAML(typ="safe", pure=True)
    known = yaml.load(lock) if lock.exists() else {"stages": {}}
    done = [name for name in known["stages"] if name.split("@")[0] == stage]
    if len(done) == len([name for name in repository.stages if name.split("@")[0] == stage]):
        del known["stages"][done[-1]]
        yaml.dump(known, lock)


def started(repository: Repository, stage: str, *command: str) -> tuple[subprocess.Popen[str], psutil.Process]:
    """Start DVC, and wait for a process of ``stage``."""
    dvc = repository.start("dvc", *command)
    while True:
        for process, name in repository.working().items():
            if name == stage:
                return dvc, process
        if dvc.poll() is not None:
            raise AssertionError(f"DVC ended without a process of {stage}:\n{dvc.communicate()[0]}")
        time.sleep(0.02)


def ended(processes: Iterable[psutil.Process], within_s: float) -> bool:
    """Whether they all end in time. One that nobody has buried yet has ended."""
    until = time.monotonic() + within_s
    while True:
        left = [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        if not left or time.monotonic() > until:
            return not left
        time.sleep(0.02)


def kill(dvc: subprocess.Popen[str], repository: Repository) -> None:
    """Kill DVC; what it ran must end by itself."""
    working = list(repository.working())
    dvc.kill()
    assert ended(working, within_s=1), "an orphan works on"
    dvc.communicate()


def mended(repository: Repository) -> None:
    """What the docs say to do where DVC was killed while it wrote its own files."""
    for _ in range(3):
        try:
            dvc_repository.check_files(repository.folder)
        except CfnsrError:
            printed = repository.run("cfnsr", "check", status=1)
        else:
            return
        (name,) = [name for name in ("dvc.lock", ".dvc/tmp/rwlock") if f"{name}: is cut short" in printed]
        assert "delete it" in printed and "Traceback" not in printed
        (repository.folder / name).unlink()
    raise AssertionError(printed)


def test_killed_in_every_stage_it_ends_in_the_same_bytes(finished: Repository, tmp_path: Path) -> None:
    """A run from nothing; in each stage first the stage is killed and then DVC, at a moment drawn by chance."""
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    broken = finished.clone(tmp_path / "broken")
    (broken.folder / "dvc.lock").unlink()
    for stage in STAGES:
        for victim in ("stage", "dvc"):
            left(broken, stage)
            dvc, process = started(broken, stage, "repro", "--no-run-cache")
            time.sleep(chance.uniform(0, 2.5 if stage in {"pretrain", "train", "extract"} else 1))
            if victim == "dvc":
                kill(dvc, broken)
            else:
                with suppress(psutil.NoSuchProcess):  # it may have ended before its moment came
                    process.kill()
                try:
                    # the last stage may have ended before its moment came, and with it the run
                    assert dvc.wait(timeout=5) in ({0, 255} if stage == STAGES[-1] else {255})
                    dvc.communicate()
                except subprocess.TimeoutExpired:  # it had ended, and DVC went on to the next
                    kill(dvc, broken)
            mended(broken)
    broken.run("dvc", "repro")
    assert broken.entries() == finished.entries()
    assert broken.results() == finished.results()
    assert not broken.corrupt()
    assert not broken.repro()
    assert not list((broken.folder / "data").rglob(".partial-*"))


def test_dvc_killed_at_any_moment_of_its_own(finished: Repository, tmp_path: Path) -> None:
    """While it reads, hashes, saves and writes its lock, between the stages: where no stage is at work."""
    chance = random.Random(f"{SEED} between")
    print(f"seed {SEED}")
    broken = finished.copy(tmp_path / "broken")
    for _ in range(6):
        dvc = broken.start("dvc", "repro", "-f", "-s", "check@studio", "download@studio-01")
        time.sleep(chance.uniform(0.5, 6))
        kill(dvc, broken)
        mended(broken)
    broken.run("dvc", "repro")
    assert broken.entries() == finished.entries()
    assert not broken.corrupt() and not broken.repro()


# Instead of the lifeline: whoever comes first reads its numbers, and waits until it is told to go on.
SLOW = """
import time
from pathlib import Path
from cfnsr import config
if Path("slow").exists():
    Path("slow").rename("waiting")
    known = config.load(Path("params.yaml"))
    config.load = lambda path: known
    while Path("waiting").exists():
        time.sleep(0.02)
"""


@pytest.mark.parametrize("held", [True, False], ids=["held", "let go"])
def test_an_orphan_cannot_reach_into_the_cache(finished: Repository, tmp_path: Path, held: bool) -> None:
    """DVC is killed, a number changed, and the run started again before the killed one's stage has ended.

    Held to its DVC, the stage ends with it. Let go of, it writes when the next run is through, and must not write into
    the cache, to which the outputs are linked.
    """
    there = finished.copy(tmp_path / "there")
    (there.folder / ".dvc" / "config").write_text("[core]\nanalytics = false\n[cache]\ntype = hardlink\n")
    if not held:
        there.edit("lifeline.hold()", SLOW, "stages/__init__.py")
        (there.folder / "slow").touch()
    there.edit("    side_px: 64", "    side_px: 48")
    dvc, orphan = started(there, "extract", "repro", "extract@studio-01")
    time.sleep(1)
    dvc.kill()
    dvc.wait()
    assert dvc.stdout is not None
    dvc.stdout.close()
    assert ended([orphan], within_s=1) == held
    there.edit("    side_px: 48", "    side_px: 40")
    there.run("dvc", "repro", "extract@studio-01")
    frames = there.folder / "data/studio/shards/01/frames.npy"
    assert frames.stat().st_nlink == 2, "not linked to the cache: this test shows nothing"
    if not held:
        (there.folder / "waiting").unlink()
        assert ended([orphan], within_s=60)
        assert b"48, 48, 3" in frames.read_bytes()[:128], "it did not write: this test shows nothing"
    assert not there.corrupt()
    there.run("dvc", "repro", "extract@studio-01")
    assert b"40, 40, 3" in frames.read_bytes()[:128]
    assert not there.corrupt() and not there.repro("extract@studio-01")


@pytest.mark.parametrize("share", [0.0, 0.31, 0.99])
@pytest.mark.parametrize("name", ["dvc.lock", ".dvc/tmp/rwlock"])
def test_a_file_of_dvcs_that_is_cut_short_is_named_and_doing_as_told_mends_it(
    finished: Repository, tmp_path: Path, name: str, share: float
) -> None:
    there = finished.copy(tmp_path / "there")
    path = there.folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    mended(there)
    assert not there.repro() and there.entries() == finished.entries()


def test_two_at_once_and_the_second_says_why_not(finished: Repository, tmp_path: Path) -> None:
    there = finished.copy(tmp_path / "there")
    there.edit("    side_px: 64", "    side_px: 48")
    first, _ = started(there, "extract", "repro", "extract@studio-01")
    said = there.run("dvc", "repro", "extract@studio-01", status=255)
    assert re.search(r"is busy, it is being blocked by:\s+\(PID \d+\): .*dvc repro", said)
    assert "Traceback" not in said
    first.communicate()
    assert first.returncode == 0
    assert not there.repro("extract@studio-01") and not there.corrupt()
