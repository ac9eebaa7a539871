"""Several processes train one network as one would."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from cfnsr.errors import CfnsrError
from cfnsr.training.team import Alone
from tests.support import corpus
from tests.support.repository import Repository
from tests.test_train import audio_network, lesson

pytest.importorskip("lightning_fabric", reason="needs the extra fabric")
pytestmark = pytest.mark.xdist_group("team")

CELL = "pretrain@studio-held_out-audio-fold_1-1234"
FAULT = "raise CfnsrError('the test', 'wants it so', 'Mend it')"


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of eight clips and of nine."""
    folder = tmp_path_factory.mktemp("uneven")
    for actor, clips in (("03", 8), ("04", 9)):
        corpus.write(folder, actors=[actor], clips=clips)
    return folder


def learnt(shards: Path, devices: int, out: Path) -> dict[str, Any]:
    subprocess.run([sys.executable, "-m", "tests.support.together", str(shards), str(devices), str(out)], check=True)
    return json.loads(out.read_text())


def test_processes_learn_what_one_does_from_the_same_batches(uneven: Path, tmp_path: Path) -> None:
    alone, *together = (learnt(uneven, devices, tmp_path / f"{devices}.json") for devices in (1, 2, 3))
    for other in together:
        for name, one in alone.items():
            np.testing.assert_allclose(other[name]["losses"], one["losses"], atol=1e-4, err_msg=name)
            np.testing.assert_allclose(other[name]["predicted"], one["predicted"], atol=1e-3, err_msg=name)
    assert all(one["losses"][-1] < 0.9 * one["losses"][0] for one in alone.values())


def shared(finished: Repository, folder: Path, *, devices: int, nodes: int = 1, epochs: int = 2) -> Repository:
    there = finished.copy(folder)
    there.edit("  devices: 1 ", f"  devices: {devices} ")
    there.edit("  nodes: 1 ", f"  nodes: {nodes} ")
    there.edit("  audio:\n    epochs: 2", f"  audio:\n    epochs: {epochs}")
    return there


def made(there: Repository) -> dict[str, Any]:
    return {entry["path"]: entry["md5"] for entry in there.entries()[CELL]["outs"]}


def command(there: Repository) -> list[str]:
    return there.entries()[CELL]["cmd"].split()


def test_a_cell_of_two_processes_ends_alike_each_time_and_its_time_is_noted_once(
    finished: Repository, tmp_path: Path
) -> None:
    one, other = (shared(finished, tmp_path / name, devices=2) for name in ("one", "other"))
    for there in (one, other):
        printed = there.run("dvc", "repro", "--single-item", CELL)
        assert len(re.findall(r"^epoch ", printed, re.MULTILINE)) == 2
        assert [path.stem for path in (there.folder / "data/logs").glob("*.json")].count(CELL) == 1
    assert made(one) == made(other) != made(finished)


def epochs_told(process: subprocess.Popen[str], count: int) -> None:
    assert process.stdout is not None
    while count:
        line = process.stdout.readline()
        assert line
        count -= line.startswith("epoch ")


def alive(there: Repository) -> list[psutil.Process]:
    until = time.monotonic() + 10
    while (found := [*there.working()]) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def test_a_killed_team_goes_on_and_ends_in_the_same_bytes(finished: Repository, tmp_path: Path) -> None:
    """Order, dropout and augmentation of every process come along."""
    whole, broken = (shared(finished, tmp_path / name, devices=2, epochs=40) for name in ("whole", "broken"))
    whole.run("dvc", "repro", "--single-item", CELL)
    process = broken.start(*command(broken))
    epochs_told(process, 5)
    leader, follower = sorted(broken.working(), key=lambda one: one.create_time())
    assert follower.parent() == leader
    leader.kill()
    process.communicate()
    assert not alive(broken)
    assert "goes on from" in broken.run("dvc", "repro", "--single-item", CELL)
    assert made(broken) == made(whole)


def test_a_lost_process_is_told(finished: Repository, tmp_path: Path) -> None:
    there = shared(finished, tmp_path / "there", devices=2, epochs=400)
    process = there.start(*command(there))
    epochs_told(process, 2)
    max(there.working(), key=lambda one: one.create_time()).kill()
    printed, _ = process.communicate(timeout=60)
    if process.returncode != -signal.SIGKILL:  # Fabric looks every five seconds, and is less polite
        assert process.returncode == 1 and "Error: train.devices: another process is gone" in printed
        assert "Traceback" not in printed
    assert not alive(there)


def test_an_interrupt_ends_all(finished: Repository, tmp_path: Path) -> None:
    there = shared(finished, tmp_path / "there", devices=2, epochs=400)
    process = there.start(*command(there))
    epochs_told(process, 2)
    os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "Aborted" in printed and "Traceback" not in printed
    assert not alive(there)


def on_two_machines(first: Repository, second: Repository) -> tuple[str, str]:
    """Start the same cell on what stand for two machines; what each printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = [
        there.start("env", "MASTER_ADDR=127.0.0.1", f"MASTER_PORT={port}", f"NODE_RANK={rank}", *command(there))
        for rank, there in enumerate((first, second))
    ]
    printed = tuple(process.communicate(timeout=120)[0] for process in processes)
    assert processes[0].returncode == processes[1].returncode
    return printed


def test_two_machines_end_where_two_processes_of_one_do(finished: Repository, tmp_path: Path) -> None:
    first, second = (shared(finished, tmp_path / name, devices=1, nodes=2) for name in ("first", "second"))
    one = shared(finished, tmp_path / "one", devices=2)
    one.run("dvc", "repro", "--single-item", CELL)
    before = [(path, path.stat().st_mtime_ns) for path in sorted((second.folder / "data").rglob("*"))]
    told, silent = on_two_machines(first, second)
    assert told.count("epoch ") == 2 and silent == ""
    for name in ("predictions/held_out/audio/fold_1/1234.parquet", "curves/held_out/audio/fold_1/1234/test.csv"):
        assert (first.folder / "data/studio" / name).read_bytes() == (one.folder / "data/studio" / name).read_bytes()
    assert before == [(path, path.stat().st_mtime_ns) for path in sorted((second.folder / "data").rglob("*"))]


def test_processes_that_differ_are_refused(finished: Repository, tmp_path: Path) -> None:
    first, second = (shared(finished, tmp_path / name, devices=1, nodes=2) for name in ("first", "second"))
    second.edit("  clip_norm: 0.0 ", "  clip_norm: 1.0 ")
    for printed in on_two_machines(first, second):
        assert printed == (
            "Error: train.devices: the processes differ in code, params or data. Bring all to one commit\n"
        )


def test_what_a_team_cannot_do_is_told(finished: Repository, tmp_path: Path) -> None:
    there = shared(finished, tmp_path / "there", devices=1, nodes=2)
    assert "train.nodes: is more than one" in there.run("cfnsr", "launch", status=1)
    absent = "import sys; sys.modules['lightning_fabric'] = None; from cfnsr.training.team import gathered; "
    said = there.run(sys.executable, "-c", f"{absent}gathered('cpu', devices=2, nodes=1)", status=1)
    assert "train.devices: Fabric is not installed. Run `pip install 'cfnsr[fabric]'`" in said


def test_more_gpus_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    on_fabric = pytest.importorskip("cfnsr.training.team.on_fabric")
    monkeypatch.setattr(on_fabric.torch.cuda, "device_count", lambda: 1)
    with pytest.raises(CfnsrError, match=r"train\.devices: is 2, torch finds 1"):
        on_fabric.OnFabric("cuda", 2, 1)


class Overheard(Alone):
    """A leader whose words are noted."""

    def __init__(self) -> None:
        self.words: list[Any] = []

    def said(self, value: Any) -> Any:
        self.words.append(value)
        return value


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, ["over"]),
        (CfnsrError("epoch 3", "the loss is not a number", "Lower the rate"), ["over"]),
        (KeyboardInterrupt(), []),  # which ends them too
    ],
    ids=["done", "failed", "interrupted"],
)
def test_followers_are_let_go_where_they_may_still_listen(
    uneven: Path, error: BaseException | None, told: list[str]
) -> None:
    team = Overheard()
    led = lesson(uneven, audio_network(), team=team)
    with contextlib.suppress(CfnsrError, KeyboardInterrupt), led.leading():
        if error is not None:
            raise error
    assert team.words == told


def test_nobody_is_spoken_to_in_the_midst_of_an_epoch(uneven: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The followers wait for a gradient then, and would for days."""
    team = Overheard()
    led = lesson(uneven, audio_network(), team=team)
    monkeypatch.setattr(led, "_augment", lambda batch: 1 / 0)
    with pytest.raises(ZeroDivisionError), led.leading():
        led.epoch()
    assert team.words == ["epoch"]


def test_a_fault_of_one_process_in_the_midst_of_an_epoch_ends_all(finished: Repository, tmp_path: Path) -> None:
    there = shared(finished, tmp_path / "there", devices=2, epochs=40)
    deals = "        hands = dealt(positions, self._count)\n"
    there.edit(deals, f"        if not self._rank:\n            {FAULT}\n{deals}", "cfnsr/data/dataset.py")
    process = there.start(*command(there))
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "Error: the test: wants it so. Mend it" in printed and "epoch " not in printed
    assert not alive(there)
