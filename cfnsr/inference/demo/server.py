"""The demo's HTTP server, on this machine only: the page, and one request per recording; nothing is stored."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from cfnsr.inference.card import NOT_FOR
from cfnsr.inference.demo.choices import Choice
from cfnsr.inference.demo.limits import Limits
from cfnsr.inference.demo.process import Works
from cfnsr.inference.demo.queue import FullError, Queue
from cfnsr.runtime import templates

ADDRESS = "127.0.0.1"
MODALITIES = {"": None, "voice": "voice", "face": "face"}
_HTTP = 80
_MAX_JOBS = 8
_STALLED_S = 30.0  # an upload without new bytes for so long is refused
_PART = 1 << 20  # bytes of an upload that are read at a time
_FOLDER = Path(__file__).parent
_STYLES = (_FOLDER.parents[1] / "report" / "page" / "page.css", _FOLDER / "demo.css")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; media-src blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RefusedError(Exception):
    """A request that is refused.

    Args:
        status: HTTP status code.
        reason: one line for the user.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Demo:
    """Answers the requests.

    Args:
        choices: the models that the page offers.
        limits: of recordings.
        works: predicts the recordings.
        folder: of the recordings while they are predicted.
    """

    def __init__(self, choices: Sequence[Choice], limits: Limits, works: Works, folder: Path) -> None:
        self._choices, self._limits, self._works, self._folder = choices, limits, works, folder
        self._queue = Queue(_MAX_JOBS)
        template = templates.environment(__package__ or "").get_template("page.html.j2")
        self._page = template.render(choices=choices, limits=limits, not_for=NOT_FOR)

    def application(self) -> web.Application:
        """Return the application; its runner needs ``handler_cancellation``: a lost connection cancels the job."""
        logging.getLogger("aiohttp.server").addFilter(_is_of_the_server)
        application = web.Application(middlewares=[_checked])
        application.on_response_prepare.append(_with_headers)
        style = "\n".join(path.read_text(encoding="utf-8") for path in _STYLES)
        script = (_FOLDER / "demo.js").read_text(encoding="utf-8")
        application.router.add_get("/", _of_text(self._page, "text/html"))
        application.router.add_get("/demo.css", _of_text(style, "text/css"))
        application.router.add_get("/demo.js", _of_text(script, "text/javascript"))
        application.router.add_post("/predict", self._predict)
        return application

    async def _predict(self, request: web.Request) -> web.StreamResponse:
        """Read a recording from the body of the request; answer with lines of JSON while it waits and is predicted.

        A line is ``waiting``, the number of jobs before this one, or an answer of the worker.
        """
        model, only = self._chosen(request)
        if (request.content_length or 0) > self._limits.max_bytes:
            raise self._too_large()
        with self._queue.admitted(), TemporaryDirectory(dir=self._folder) as folder:
            path = Path(folder) / "recording"  # no text of the request becomes part of a path
            await self._save(request, path)
            response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
            await response.prepare(request)
            job = object()
            try:
                async with aclosing(self._queue.positions(job)) as positions:
                    async for before in positions:
                        await _write(response, {"waiting": before})
                async with aclosing(self._works.run(path, model, only)) as answers:
                    async for answer in answers:
                        await _write(response, answer)
            finally:
                self._queue.leave(job)
            return response

    def _chosen(self, request: web.Request) -> tuple[str, str | None]:
        """Return the path of the chosen model, and the only modality to use, None for both."""
        number, modality = request.query.get("model", ""), request.query.get("only", "")
        paths = {str(index): choice.path for index, choice in enumerate(self._choices)}
        if number not in paths or modality not in MODALITIES:
            raise RefusedError(400, "There is no such model or modality: open the page again")
        return str(paths[number]), MODALITIES[modality]

    async def _save(self, request: web.Request, path: Path) -> None:
        size = 0
        try:
            with path.open("wb") as file:
                while True:
                    async with asyncio.timeout(_STALLED_S):
                        part = await request.content.read(_PART)
                    if not part:
                        return
                    size += len(part)
                    if size > self._limits.max_bytes:  # for requests without Content-Length
                        raise self._too_large()
                    file.write(part)
        except TimeoutError as error:
            raise RefusedError(408, "The upload stopped: try again") from error
        except OSError as error:
            raise RefusedError(
                507, f"The recording cannot be stored ({error.strerror}): free some disk space"
            ) from error

    def _too_large(self) -> RefusedError:
        return RefusedError(413, f"The recording is larger than {self._limits.max_mb:g} MB")


def hosts(port: int) -> set[str]:
    """Return how browsers name this server; they leave out the port of HTTP."""
    names = {ADDRESS, "localhost"}
    return {f"{name}:{port}" for name in names} | (names if port == _HTTP else set())


def _is_of_the_server(record: logging.LogRecord) -> bool:
    """Return whether a line of the log is about the server, not about bytes that are no request."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


@web.middleware
async def _checked(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse requests of other sites, by the headers ``Host`` and ``Origin``."""
    transport = request.transport
    own = set[str]() if transport is None else hosts(transport.get_extra_info("sockname")[1])
    try:
        if request.host not in own:
            raise RefusedError(403, "Open the demo by the address that cfnsr demo printed")
        if request.method == "POST" and request.headers.get("Origin") not in {f"http://{host}" for host in own}:
            raise RefusedError(403, "The request comes from another site's page")
        return await handler(request)
    except FullError:
        return _refusal(503, "Too many recordings are waiting: try again in a minute")
    except RefusedError as error:
        return _refusal(error.status, error.reason)


def _refusal(status: int, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=status)


async def _with_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


async def _write(response: web.StreamResponse, content: dict[str, object]) -> None:
    await response.write(json.dumps(content).encode() + b"\n")


def _of_text(text: str, content_type: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type=content_type)

    return handler
