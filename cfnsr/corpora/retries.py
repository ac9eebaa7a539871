"""When a request to a server is sent again, and after what pause."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import Any

from urllib3.exceptions import InvalidHeader
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

LONGEST_PAUSE_S = 900
_ENDLESS_S = 1e9  # no error needs to name a longer pause
_TIME = re.compile(r"[0-9]{1,12}")  # in seconds since 1970
# HTTP statuses after which the same request may succeed: timeouts, too many requests, errors of the server.
TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


class LongPauseError(Exception):
    """The server asks for a longer pause than a user would wait; the argument is in seconds."""


class Retries(Retry):
    """urllib3's retries, which read ``X-RateLimit-Reset`` too and raise an error for too long a pause.

    Answers that lead to a retry are closed unread.
    """

    def increment(self, *args: Any, response: BaseHTTPResponse | None = None, **options: Any) -> Any:
        if response is not None:
            response.close()  # urllib3 would read its body to the end, however long it is
        return super().increment(*args, response=response, **options)

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        seconds, reset = None, response.headers.get("X-RateLimit-Reset", "")
        with suppress(InvalidHeader, ValueError, OverflowError):  # a number may have thousands of digits
            seconds = super().get_retry_after(response)
        if seconds is None and _TIME.fullmatch(reset) and response.headers.get("X-RateLimit-Remaining") == "0":
            seconds = max(0.0, int(reset) - time.time())  # the header holds a time of day
        if seconds is not None and seconds > LONGEST_PAUSE_S:
            raise LongPauseError(min(seconds, _ENDLESS_S))
        return seconds
