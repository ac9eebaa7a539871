"""Requests to servers that may send anything.

requests reads the whole body of a redirect, urllib3 the whole body of an answer that is retried, and http.client any
number of ``100 Continue``; a socket's timeout starts again with each byte. Here such bodies are closed unread, and the
timeout holds for the whole head of an answer.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidURL
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util import Retry

from cfnsr import __version__

_USER_AGENT = f"cfnsr/{__version__}"
_CONNECT_S = 20  # timeout of a connection's start
_MOST_REDIRECTS = 5
_TIMED = "_TimedConnection"
# How names of headers begin that any host may see; others may hold secrets for the host that they were meant for.
_FOR_ANY_HOST = ("accept", "connection", "content-", "cookie", "proxy-", "range", "user-agent")


class Session:
    """A session whose requests end in time, whatever the server sends; a context manager, which closes it."""

    def __init__(self, timeout_s: float, retries: Retry | int = 0) -> None:
        """Open the session.

        Args:
            timeout_s: seconds without data, and seconds of an answer's head, before a connection is closed.
            retries: of requests that fail before the body.
        """
        self._requests, self._timeout_s = requests.Session(), timeout_s
        self._requests.rebuild_auth = self._rebuild_auth
        self._requests.max_redirects = _MOST_REDIRECTS
        for prefix in ("http://", "https://"):
            self._requests.mount(prefix, _Adapter(max_retries=retries))

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._requests.close()

    def ask(
        self, method: str, url: str, headers: Mapping[str, str] = MappingProxyType({}), json: Any = None
    ) -> requests.Response:
        """Send a request; return the answer, whose body is not read yet.

        Raises:
            requests.RequestException: there is no answer, or it leads nowhere.
        """
        timeout = (_CONNECT_S, self._timeout_s)
        headers = {**headers, "User-Agent": _USER_AGENT}
        try:
            return self._requests.request(method, url, headers=headers, json=json, timeout=timeout, stream=True)
        except requests.RequestException:
            raise
        except ValueError as error:  # of addresses that requests cannot split or decode
            raise InvalidURL(f"an address or a header cannot be read: {error}") from None

    def _rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Take secrets out of the request that follows a redirect.

        Raises:
            InvalidURL: the redirect gives up encryption.
        """
        old, new = str(response.url), str(prepared_request.url)
        if old.startswith("https:") and not new.startswith("https:"):
            raise InvalidURL(f"the server redirects to {new}, which is not encrypted")
        if self._requests.should_strip_auth(old, new):
            for name in [*prepared_request.headers]:
                if not name.lower().startswith(_FOR_ANY_HOST):
                    del prepared_request.headers[name]
        requests.Session.rebuild_auth(self._requests, prepared_request, response)


class _Adapter(HTTPAdapter):
    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(*args, **options)
        if pool.ConnectionCls.__name__ != _TIMED:
            pool.ConnectionCls = type(_TIMED, (pool.ConnectionCls,), {"getresponse": _getresponse})  # pyright: ignore[reportAttributeAccessIssue]
        return pool

    def send(self, *args: Any, **options: Any) -> requests.Response:
        response = super().send(*args, **options)
        if response.is_redirect:
            response.close()  # requests would read its body to the end
        return response


def _getresponse(connection: HTTPConnection) -> Any:
    """Read the head of an answer, in time; a method of the connections that ``_Adapter`` opens."""
    with shut_after(cast("float", connection.timeout), connection.sock.fileno()):
        return super(type(connection), connection).getresponse()


@contextmanager
def shut_after(seconds: float, fileno: int) -> Iterator[None]:
    """Shut a connection down if the block does not end in time.

    Args:
        seconds: the time.
        fileno: of the connection's socket.

    Raises:
        TimeoutError: the block did not end in time.
    """
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        with suppress(OSError):  # the server has closed it
            connection.shutdown(socket.SHUT_RDWR)  # for reading alone, data that keep coming would still be read

    # A descriptor of our own, as the block may close the other.
    with socket.socket(fileno=os.dup(fileno)) as connection:
        timer = threading.Timer(seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception:
            if not expired.is_set():
                raise
        finally:
            timer.cancel()
            timer.join()
        if expired.is_set():  # what was cut off may look complete
            raise TimeoutError("timed out") from None
