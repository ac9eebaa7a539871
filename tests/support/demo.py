"""A demo that is served in a thread, and a stand-in for its worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from cfnsr.inference.card import Card
from cfnsr.inference.demo.choices import Choice
from cfnsr.inference.demo.limits import Limits
from cfnsr.inference.demo.process import Works
from cfnsr.inference.demo.server import ADDRESS, Demo

CHOICES = [Choice("small", Path("small/model.safetensors"), Card("small"))]


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=60)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class StandIn:
    """Works on each job until ``allowed`` is its number, from 1; ``ended`` has what became of each job."""

    def __init__(self) -> None:
        self.allowed = 0
        self.begun: list[tuple[Path, bytes, str, str | None]] = []
        self.ended: list[str] = []

    async def run(self, path: Path, model: str, only: str | None) -> AsyncGenerator[dict[str, Any], None]:
        self.begun.append((path, path.read_bytes(), model, only))
        number, how = len(self.begun), "given up"
        try:
            yield {"done_s": 0.0, "of_s": 1.0}
            while self.allowed < number:
                await asyncio.sleep(0.01)
            how = "done"
            yield {"result": f"<p>{len(path.read_bytes())} bytes</p>"}
        finally:
            self.ended.append(how)


@contextmanager
def served(
    works: Works, folder: Path, *, choices: Sequence[Choice] = CHOICES, limits: Limits | None = None, loop: Loop
) -> Iterator[str]:
    """Serve a demo; yield its address."""
    folder.mkdir(exist_ok=True)

    async def start() -> web.AppRunner:
        application = Demo(choices, limits or Limits(1, 1), works, folder).application()
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, ADDRESS, 0).start()
        return runner

    runner = loop.run(start())
    try:
        yield f"http://{ADDRESS}:{runner.addresses[0][1]}"
    finally:
        loop.run(runner.cleanup())


@contextmanager
def running_loop() -> Iterator[Loop]:
    loop = Loop()
    try:
        yield loop
    finally:
        loop.end()
