"""The worker as the server sees it: started when it is needed, and ended when a job takes too much or is given up."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import psutil

from cfnsr.inference.demo import worker
from cfnsr.inference.demo.limits import Limits

if TYPE_CHECKING:
    from cfnsr.inference.demo.worker import Answer

_LOOK_S = 0.2  # between two looks at time and memory
_MOST_MEMORY = 4 << 30  # bytes of the worker; predicting a video takes 1 GB
_MOST_LINE = 1 << 28  # bytes of an answer


@runtime_checkable
class Works(Protocol):
    """Works on one job at a time."""

    def run(self, path: Path, model: str, only: str | None) -> AsyncGenerator[Answer, None]:
        """Work on a recording; see ``worker`` for the answers. It is given up if the generator is closed."""
        ...


class _TooMuchError(Exception):
    """A job takes too long or too much memory, or ended the worker."""


class Worker:
    """Starts and ends the process; see ``Works``.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        limits: of recordings.
        first: the model to load before the first job, if any.
    """

    def __init__(self, device: str, limits: Limits, first: str | None) -> None:
        self._settings = json.dumps([device, limits.most_mb, limits.most_minutes, first])
        self._most_s = limits.most_work_s
        self._process: Process | None = None

    async def start(self) -> Process:
        """Start the process unless it runs."""
        if self._process is None or self._process.returncode is not None:
            # A session of its own: Ctrl-C is for the server, which ends the worker. -P: no module of this folder.
            command = [sys.executable, "-P", "-m", worker.__name__, self._settings]
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, limit=_MOST_LINE, start_new_session=True
            )
        return self._process

    async def stop(self) -> None:
        """End the process, whatever it does."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):  # it has just ended
                process.kill()
            await process.wait()

    async def run(self, path: Path, model: str, only: str | None) -> AsyncGenerator[Answer, None]:
        """Work on a recording; see ``Works``."""
        until = asyncio.get_running_loop().time() + self._most_s
        is_done = False
        try:
            process = await self.start()
            job: dict[str, Any] = {"file": str(path), "model": model, "only": only}
            assert process.stdin is not None
            process.stdin.write(json.dumps(job).encode() + b"\n")
            while not is_done:
                answer = json.loads(await _line(process, until))
                is_done = "done_s" not in answer
                yield answer
        except _TooMuchError as error:
            yield {"error": f"recording: {error}. Try a shorter or smaller one"}
        finally:
            if not is_done:
                await self.stop()


async def _line(process: Process, until: float) -> bytes:
    """Read a line of the process, and look meanwhile at how much it takes.

    Args:
        process: the worker.
        until: when it must have ended, on the loop's clock.
    """
    assert process.stdout is not None
    reading = asyncio.ensure_future(process.stdout.readline())
    try:
        while not reading.done():
            await asyncio.wait([reading], timeout=_LOOK_S)
            if asyncio.get_running_loop().time() > until:
                raise _TooMuchError("takes too long")
            with suppress(psutil.Error):  # it has just ended
                if psutil.Process(process.pid).memory_info().rss > _MOST_MEMORY:
                    raise _TooMuchError("takes too much memory")
    finally:
        reading.cancel()
    line = reading.result()
    if not line:
        raise _TooMuchError("ended the program that reads it")
    return line
