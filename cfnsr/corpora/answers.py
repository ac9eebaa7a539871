"""Read a server's answers, whatever it sends: within a time, up to a size, and with numbers of any length."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from cfnsr.corpora.session import shut_after

_MOST_BYTES = 2**23  # of a list of files; those of the corpora have less than 2**18
_CHUNK = 2**16


class SlowError(Exception):
    """A server sends so slowly that the transfer would not end."""


def chunks(response: requests.Response, timeout_s: float, min_rate: float) -> Iterator[bytes]:
    """Yield what arrives, as it arrives: `iter_content` waits until a chunk is full, however long that takes.

    Args:
        response: requested with ``stream=True``.
        timeout_s: seconds over which the rate is measured.
        min_rate: bytes a second.

    Raises:
        SlowError: less arrives.
        TimeoutError: something other than the body, as trailers, takes longer than ``timeout_s``.
    """
    with socket.socket(fileno=os.dup(response.raw.fileno())) as connection:  # http.client closes its own at the end
        while True:
            since_s, received, passed_s = time.monotonic(), 0, 0.0
            with shut_after(2 * timeout_s, connection.fileno()):
                while passed_s < timeout_s:
                    chunk = response.raw.read1(_CHUNK, decode_content=True)
                    if not chunk:
                        return
                    yield chunk
                    received += len(chunk)
                    passed_s = time.monotonic() - since_s
            if received < min_rate * passed_s:
                raise SlowError


def json_of(response: requests.Response, timeout_s: float) -> dict[str, Any]:
    """Read an answer in JSON; empty if it is no JSON object, or too long.

    Args:
        response: requested with ``stream=True``.
        timeout_s: seconds in which all of it must be there.

    Raises:
        requests.RequestException: the connection fails, or the answer takes too long.
    """
    content, end_s = b"", time.monotonic() + timeout_s
    try:
        for part in chunks(response, timeout_s, 0):
            content += part
            if time.monotonic() > end_s:
                raise requests.Timeout(f"the answer was not complete after {timeout_s:g} s")
            if len(content) > _MOST_BYTES:
                return {}
    except (HTTPError, TimeoutError) as error:
        raise requests.ConnectionError(error) from error
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):  # no JSON, numbers of thousands of digits, thousands of brackets
        return {}
    return answer if isinstance(answer, dict) else {}


def section(values: dict[str, Any], key: str) -> dict[str, Any]:
    """Return an object within another; empty if it is missing, or something else."""
    value = values.get(key)
    return value if isinstance(value, dict) else {}


def innermost(error: BaseException) -> str:
    """Return the message of the innermost of nested exceptions."""
    while (inner := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        error = inner
    return str(error) or type(error).__name__
