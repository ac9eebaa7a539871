"""Cells side by side: the same results as one after another, whatever happens on the way."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from cfnsr.runtime.launch.shown import Shown
from rich.console import Console
from ruamel.yaml import YAML

from cfnsr.errors import CfnsrError
from cfnsr.runtime.launch import LOGS, Outcome, plan, run_all
from tests.support.repository import Repository

FOLDS = ("fold_1", "fold_2")
BREAKS = """
    from pathlib import Path
    from cfnsr.errors import CfnsrError
    if (modality, trial.fold) == ("audio", "fold_1") and Path("broken").exists():
        raise CfnsrError("the test", "wants it so", "Delete the file broken")
"""


def cells(*names: str) -> set[str]:
    stages = {"video": "pretrain", "audio": "pretrain"}
    return {f"{stages.get(name, 'train')}@studio-held_out-{name}-{fold}-1234" for name in names for fold in FOLDS}


def untrained(finished: Repository, folder: Path) -> Repository:
    """The finished run, as it was before the first cell: DVC remembers none."""
    there = finished.copy(folder)
    path = there.folder / "dvc.lock"
    yaml = YAML()
    lock = yaml.load(path)
    for name in [*lock["stages"]]:
        if name.startswith(("pretrain@", "train@", "best@", "report@")):
            del lock["stages"][name]
    yaml.dump(lock, path)
    shutil.rmtree(there.folder / ".dvc/cache/runs")
    for name in ("models", "cells", "predictions", "curves", "best"):
        shutil.rmtree(there.folder / "data/studio" / name)
    return there


def launched(there: Repository, *options: str) -> set[str]:
    """The cells that a launch ran to a good end."""
    return set(re.findall(r"^done (\S+) on ", there.run("cfnsr", "launch", *options), re.MULTILINE))


def test_two_at_a_time_leave_the_lock_that_one_after_another_do(finished: Repository, tmp_path: Path) -> None:
    there = untrained(finished, tmp_path / "there")
    assert launched(there, "--jobs", "2") == cells("video", "audio", "averaging", "cfnsr")
    assert there.repro() == ["best@studio", "report@studio"]
    assert there.lock == finished.lock and there.results() == finished.results()
    assert there.run("cfnsr", "launch") == "nothing to do: 8 cells are up to date\n"


def test_new_entries_stand_where_dvc_repro_would_have_put_them(finished: Repository, tmp_path: Path) -> None:
    there = finished.copy(tmp_path / "there")
    text = there.lock.decode()
    head, *entries = re.split(r"(?m)^(?=  \S)", text)
    kept = [entry for entry in entries if not entry.startswith(("  best", "  report"))]
    last = [entry for entry in entries if entry not in kept]
    turned = [*kept[:-6], *reversed(kept[-6:])]
    (there.folder / "dvc.lock").write_text("".join([head, *turned]))
    plan.order_lock(there.folder, [entry.split(":")[0].strip() for entry in kept[:-6]])
    assert there.lock.decode() + "".join(last) == text


def test_only_what_is_stale_is_planned_and_what_it_needs_goes_before(finished: Repository, tmp_path: Path) -> None:
    there = finished.copy(tmp_path / "there")
    assert plan.made(there.folder, ["pretrain", "train"]) == plan.Plan({}, 8)
    there.edit("      heads: 8 ", "      heads: 4 ")
    assert plan.made(there.folder, ["pretrain", "train"]) == plan.Plan({one: set() for one in cells("cfnsr")}, 6)
    there.edit("    head_dropout: 0.4", "    head_dropout: 0.3")
    made = plan.made(there.folder, ["pretrain", "train"])
    assert set(made.needs) == cells("audio", "averaging", "cfnsr") and made.fresh == 2
    for name, needed in made.needs.items():
        fold = re.search(r"fold_\d", name)[0]  # pyright: ignore
        assert needed == (set() if "audio" in name else {f"pretrain@studio-held_out-audio-{fold}-1234"})
    assert set(plan.made(there.folder, ["pretrain"]).needs) == cells("audio")
    told = there.run("cfnsr", "launch", "train", status=1)
    assert "pretrain@studio-held_out-audio-fold_1-1234 is stale (and 1 more). Run `dvc repro pretrain` first" in told


def test_what_cannot_be_launched_is_told(finished: Repository, tmp_path: Path) -> None:
    there = finished.copy(tmp_path / "there")
    assert "has no stage trian. There are best, check, crop" in there.run("cfnsr", "launch", "trian", status=1)
    assert "give one of them" in there.run("cfnsr", "launch", "--jobs", "2", "--ray", "auto", status=2)
    assert "--gpus needs --ray" in there.run("cfnsr", "launch", "--gpus", "1", status=2)
    there.edit("    side_px: 64", "    side_px: 48")
    told = there.run("cfnsr", "launch", status=1)
    assert "extract@studio-01 is stale (and 3 more). Run `dvc repro check extract` first" in told


def test_a_failure_stops_only_what_needs_it_and_the_next_launch_does_what_is_left(
    finished: Repository, tmp_path: Path
) -> None:
    there = finished.copy(tmp_path / "there")
    there.edit("    team, place = gathered", f"{BREAKS}    team, place = gathered", "stages/pretrain.py")
    (there.folder / "broken").touch()
    said = there.run("cfnsr", "launch", "--jobs", "2", status=1)
    failed = "pretrain@studio-held_out-audio-fold_1-1234"
    waiting = {f"train@studio-held_out-{name}-fold_1-1234" for name in ("averaging", "cfnsr")}
    assert set(re.findall(r"^done (\S+)", said, re.MULTILINE)) == cells("video", "audio", "averaging", "cfnsr") - {
        failed,
        *waiting,
    }
    assert set(re.findall(r"^left (\S+): (\S+) failed", said, re.MULTILINE)) == {(one, failed) for one in waiting}
    assert f"{failed}: Error: the test: wants it so. Delete the file broken" in said, said
    assert "launch: 1 cells failed, and 2 that need them did not run. Mend the cause" in said
    (there.folder / "broken").unlink()
    assert launched(there, "--jobs", "2") == {failed, *waiting}


def test_an_interrupted_launch_leaves_no_process_and_no_broken_file(finished: Repository, tmp_path: Path) -> None:
    there = untrained(finished, tmp_path / "there")
    there.edit("  video:\n    epochs: 2", "  video:\n    epochs: 400")
    process = there.start("cfnsr", "launch", "--jobs", "2")
    until = time.monotonic() + 60
    while len(there.working()) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    working = there.working()
    assert len(working) == 2
    os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "Aborted" in printed and "Traceback" not in printed
    assert not [one for one in working if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert not [one for one in psutil.process_iter() if _in(one, there.folder)]
    there.run("cfnsr", "check")
    there.edit("  video:\n    epochs: 400", "  video:\n    epochs: 2")
    launched(there)
    there.repro()
    assert there.entries() == finished.entries() and there.results() == finished.results()


def _in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()) == folder
    except psutil.Error:
        return False


class Told:
    """A display that remembers."""

    def __init__(self) -> None:
        self.steps: list[Any] = []

    def submitted(self, name: str) -> None:
        self.steps.append(("submitted", name))

    def ended(self, outcome: Outcome) -> None:
        self.steps.append(("ended", outcome.cell))

    def passed_over(self, name: str, because: str) -> None:
        self.steps.append(("passed over", name, because))

    def tick(self) -> None:
        pass


class Scripted:
    """An engine that ends cells in the order it is told to."""

    def __init__(self, *outcomes: tuple[str, int | None]) -> None:
        self.outcomes, self.ready, self.stopped = list(outcomes), set[str](), False

    def submit(self, name: str) -> None:
        self.ready.add(name)

    def finished(self, within_s: float) -> list[Outcome]:
        name, status = self.outcomes.pop(0)
        assert name in self.ready, "it ended before it was started"
        return [Outcome(name, status, "there")]

    def stop(self) -> None:
        self.stopped = True


def test_the_first_cause_is_told_however_far_up_it_stands() -> None:
    needs = {"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": {"a", "b", "c"}, "other": set()}
    display, engine = Told(), Scripted(("other", 0), ("a", None))
    told = run_all(plan.Plan(needs, 0), engine, display)
    assert [one.cell for one in told.failed] == ["a"] and told.waiting == dict.fromkeys("bcd", "a")
    assert ("passed over", "d", "a") in display.steps and engine.stopped


def test_an_engine_that_breaks_is_stopped() -> None:
    engine = Scripted(("never started", 0))
    with pytest.raises(AssertionError, match="before it was started"):
        run_all(plan.Plan({"a": set()}, 0), engine, Told())
    assert engine.stopped


def test_a_terminal_shows_what_runs_and_its_last_words(tmp_path: Path) -> None:
    printed = io.StringIO()
    console = Console(file=printed, force_terminal=True, width=160, color_system=None)
    log = tmp_path / LOGS / "a.log"
    log.parent.mkdir(parents=True)
    log.write_text("of an earlier run\n")
    with Shown(console, tmp_path, 3) as shown:
        shown.submitted("a")
        shown.submitted("b")
        shown.tick()
        assert "0 of 3 ended, 2 ready to run" in printed.getvalue() and "earlier" not in printed.getvalue()
        log.write_text("epoch  1\nepoch  2  accuracy [12.5%]\n\n")
        shown.tick()
        shown.ended(Outcome("a", 255, "there"))
        shown.passed_over("c", "a")
        shown.tick()
    told = printed.getvalue()
    assert re.search(r"^ *a +0 +epoch  2  accuracy \[12\.5%\]", told, re.MULTILINE) and "epoch  1" not in told
    assert "0 of 3 ended, 1 ready to run" in told and "2 of 3 ended, 1 ready to run" in told
    assert "failed a on there, 0 s (1 of 3)" in told and "left c: a failed (2 of 3)" in told


def test_a_repository_that_dvc_cannot_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match="DVC cannot tell what is stale"):
        plan.made(tmp_path, ["train"])
