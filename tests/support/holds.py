"""Stop a stub at a chosen moment, until the test lets it go on or kills it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import psutil

DEADLINE_S = 120.0  # for what takes seconds: it only ends a test that would otherwise wait for ever


class Hold:
    """The next stub of a stage that comes to a moment is held there.

    Args:
        folder: that the environment of the stubs names.
        stage: its name in dvc.yaml.
        number: tells the holds of one stage apart.
        moment: ``start``, when it has read what it depends on, or ``half``, with half of an output written.
    """

    def __init__(self, folder: Path, stage: str, number: int, moment: Literal["start", "half"]) -> None:
        self._folder, self._name = folder, f"{stage}-{number}"
        folder.mkdir(exist_ok=True)
        (folder / f"{self._name}.{moment}").touch()

    def process(self, runner: subprocess.Popen[str] | None) -> psutil.Process:
        """Wait until a stub is held, and return its process.

        Args:
            runner: what runs the stubs; it must not end before. None for a daemon.
        """
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            ended = runner is not None and runner.poll() is not None
            for taken in self._folder.glob(f"{self._name}.[0-9]*"):
                return psutil.Process(int(taken.suffix[1:]))
            if runner is not None and ended:
                raise AssertionError(f"no stub of {self._name} was held:\n{runner.communicate()[0]}")
            time.sleep(0.01)
        raise AssertionError(f"no stub of {self._name} was held within {DEADLINE_S} s")

    def release(self) -> None:
        """Let the stub go on; a hold that nobody has taken is removed."""
        for path in self._folder.glob(f"{self._name}.*"):
            path.unlink()


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait until a function returns something true."""
    until = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until, f"not within {deadline_s} s: {what}"
        time.sleep(0.02)
