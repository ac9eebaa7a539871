"""A real HTTP server on loopback that serves files, and fails as a test asks."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import numpy as np

from cfnsr.corpora.download import Archive

CONTENT = b"PK" + np.random.default_rng(0).bytes(300_000)
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\n"


@dataclass
class Asked:
    """A request, and how many bytes of the answer's body were sent."""

    path: str
    range: str | None
    agent: str | None
    status: int = 0
    sent: int = 0


@dataclass
class Site:
    """The files of a server, the faults to come, and the requests so far.

    Attributes:
        files: content by path.
        faults: by path, how the next requests are answered; later ones are answered well.
        asked: requests in their order.
    """

    files: dict[str, bytes] = field(default_factory=dict, repr=False)
    faults: defaultdict[str, list[Callable[[Handler, bytes], None]]] = field(default_factory=lambda: defaultdict(list))
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def sent(self, path: str) -> int:
        return sum(request.sent for request in self.asked if request.path == path)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site
    asked: Asked

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.asked = Asked(path, self.headers.get("Range"), self.headers.get("User-Agent"))
        self.site.asked.append(self.asked)
        if path not in self.site.files:
            self.answer(404, b"not here")
        elif self.site.faults[path]:
            self.site.faults[path].pop(0)(self, self.site.files[path])
        else:
            self.whole(self.site.files[path])

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def whole(self, content: bytes) -> None:
        """Send the range that was asked for, or everything."""
        if self.asked.range is None:
            self.answer(200, content)
            return
        start = int(self.asked.range.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        else:
            self.answer(206, content[start:], {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"})

    def answer(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        cut: int | None = None,
        abrupt: bool = False,
    ) -> None:
        """Answer; with ``cut``, close the connection after that many bytes of the body, or ``abrupt``: reset it."""
        self.asked.status = status
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        part = body if cut is None else body[:cut]
        self.asked.sent = len(part)
        with suppress(ConnectionError):  # a client that has read enough closes the connection
            self.wfile.write(part)
            self.wfile.flush()
        if cut is not None:
            self.close_connection = True
            if abrupt:  # bytes under way are lost too
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def finish(self) -> None:
        if self.connection.fileno() != -1:
            super().finish()


class Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # tests provoke connection errors on purpose
            super().handle_error(request, client_address)  # pyright: ignore[reportArgumentType]


def cut_after(count: int, *, abrupt: bool = False) -> Callable[[Handler, bytes], None]:
    """Return a fault that sends the right answer, cut off after ``count`` bytes."""

    def fault(handler: Handler, content: bytes) -> None:
        start = int((handler.asked.range or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        handler.answer(206 if start else 200, content[start:], headers, cut=count, abrupt=abrupt)

    return fault


def forever(start: bytes, piece: bytes, pause_s: float) -> Callable[[Handler, bytes], None]:
    """Return a fault that sends a start, and then a piece at a time, for longer than a test may take."""

    def fault(handler: Handler, content: bytes) -> None:
        handler.close_connection = True
        until_s = time.monotonic() + 4
        with suppress(ConnectionError):
            handler.wfile.write(start)
            while time.monotonic() < until_s:
                handler.wfile.write(piece)
                time.sleep(pause_s)

    return fault


def no_ranges(handler: Handler, content: bytes) -> None:
    handler.answer(200, content)


def status(code: int, body: bytes = b"", **headers: str) -> Callable[[Handler, bytes], None]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, content: handler.answer(code, body, sent)


def instead(content: bytes) -> Callable[[Handler, bytes], None]:
    """Return a fault that sends another file."""
    return lambda handler, _: handler.whole(content)


def record(files: dict[str, tuple[int, str]]) -> bytes:
    """Return Zenodo's metadata of a record, from size and md5 by file name."""
    listed = [{"key": name, "size": size, "checksum": f"md5:{md5}"} for name, (size, md5) in files.items()]
    return json.dumps({"files": listed}).encode()


def archive_of(site: Site) -> Archive:
    """Return the description of the archive that the fixture ``site`` serves."""
    return Archive("a.zip", f"{site.url}/a.zip?download=1", len(CONTENT), hashlib.md5(CONTENT).hexdigest())


@contextmanager
def serving() -> Iterator[Site]:
    """Run a server, and yield its site."""
    site = Site()
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = Server(("127.0.0.1", 0), handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
