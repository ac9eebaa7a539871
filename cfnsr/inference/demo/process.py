"""Start the worker process when it is needed, and end it when a job exceeds a limit or is cancelled."""

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

_CHECK_EVERY_S = 0.2  # between two checks of time and memory
_TO_LOAD_S = 60.0  # a model, and a recording's header
_SLOWNESS = 4.0  # seconds of work for one of a recording: ten times the slowest in docs/predict.md
_MAX_MEMORY = 4 << 30  # bytes of the worker; predicting a video needs 1 GB
_MAX_LINE = 1 << 28  # longest line of an answer, in bytes


@runtime_checkable
class Works(Protocol):
    """Predicts one recording at a time."""

    def run(self, path: Path, model: str, only: str | None) -> AsyncGenerator[Answer, None]:
        """Predict a recording; ``worker.Answer`` describes the answers. Closing the generator cancels the job."""
        ...


class _TooMuchError(Exception):
    """A job takes too long or too much memory, or the worker ended during it."""


class Worker:
    """Runs the worker process; see ``Works``.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        limits: of recordings.
        first: path of the model to load before the first job, if any.
    """

    def __init__(self, device: str, limits: Limits, first: str | None) -> None:
        self._settings = json.dumps([device, limits.max_mb, limits.max_minutes, first])
        self._process: Process | None = None

    async def start(self) -> Process:
        """Start the process unless it is running."""
        if self._process is None or self._process.returncode is not None:
            # In its own session, so that Ctrl-C reaches only the server. -P: import no module of the current folder.
            command = [sys.executable, "-P", "-m", worker.__name__, self._settings]
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, limit=_MAX_LINE, start_new_session=True
            )
        return self._process

    async def stop(self) -> None:
        """Kill the process."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):  # it has just ended
                process.kill()
            await process.wait()

    async def run(self, path: Path, model: str, only: str | None) -> AsyncGenerator[Answer, None]:
        """Predict a recording; see ``Works``."""
        until = asyncio.get_running_loop().time() + _TO_LOAD_S
        is_done = False
        try:
            process = await self.start()
            job: dict[str, Any] = {"file": str(path), "model": model, "only": only}
            assert process.stdin is not None
            process.stdin.write(json.dumps(job).encode() + b"\n")
            while not is_done:
                answer = json.loads(await _line(process, until))
                is_done = "done_s" not in answer
                if answer.get("done_s") == 0:  # the recording's length is known now
                    until = asyncio.get_running_loop().time() + _TO_LOAD_S + _SLOWNESS * answer["of_s"]
                yield answer
        except _TooMuchError as error:
            yield {"error": f"recording: {error}. Try a shorter or smaller one"}
        finally:
            if not is_done:
                await self.stop()


async def _line(process: Process, until: float) -> bytes:
    """Read a line of the process, and check its time and memory meanwhile.

    Args:
        process: the worker.
        until: when it must have ended, on the loop's clock.
    """
    assert process.stdout is not None
    reading = asyncio.ensure_future(process.stdout.readline())
    try:
        while not reading.done():
            await asyncio.wait([reading], timeout=_CHECK_EVERY_S)
            if asyncio.get_running_loop().time() > until:
                raise _TooMuchError("takes too long")
            with suppress(psutil.Error):  # it has just ended
                if psutil.Process(process.pid).memory_info().rss > _MAX_MEMORY:
                    raise _TooMuchError("takes too much memory")
    finally:
        reading.cancel()
    line = reading.result()
    if not line:
        raise _TooMuchError("made the worker process stop")
    return line
