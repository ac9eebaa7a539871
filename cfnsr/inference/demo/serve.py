"""Start the demo, and end it without leaving processes or files."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web

from cfnsr.errors import CfnsrError
from cfnsr.inference.demo.choices import Choice
from cfnsr.inference.demo.limits import Limits
from cfnsr.inference.demo.process import Worker
from cfnsr.inference.demo.server import ADDRESS, Demo

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def serve(choices: Sequence[Choice], limits: Limits, port: int, device: str, ready: Callable[[str], None]) -> None:
    """Serve the demo until the process gets a signal to end.

    Args:
        choices: the models that the page offers.
        limits: of recordings.
        port: on this machine; 0: any free one.
        device: ``auto``, ``cpu`` or ``cuda``.
        ready: called with the page's address when it can be opened.

    Raises:
        CfnsrError: the port is in use.
    """
    asyncio.run(_serve(choices, limits, port, device, ready))


async def _serve(
    choices: Sequence[Choice], limits: Limits, port: int, device: str, ready: Callable[[str], None]
) -> None:
    first = choices[0] if choices and not choices[0].ships else None
    worker = Worker(device, limits, None if first is None else str(first.path))
    with TemporaryDirectory(prefix="cfnsr-demo-") as folder:
        application = Demo(choices, limits, worker, Path(folder)).application()
        runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, ADDRESS, port)
            await worker.start()
            await _listen(site, port)
            ready(f"http://{ADDRESS}:{runner.addresses[0][1]}/")
            await _ending_signal()
        finally:
            await runner.cleanup()
            await worker.stop()


async def _listen(site: web.TCPSite, port: int) -> None:
    try:
        await site.start()
    except OSError as error:
        raise CfnsrError(
            "--port",
            f"{port} cannot be used ({os.strerror(error.errno or 0)})",
            "Choose another port, or 0 for any free one",
        ) from error


async def _ending_signal() -> None:
    received, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in _SIGNALS if os.name == "posix" else ():  # elsewhere Ctrl-C cancels this task
        loop.add_signal_handler(getattr(signal, name), received.set)
    await received.wait()
