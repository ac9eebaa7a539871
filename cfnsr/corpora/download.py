"""An archive over HTTP: resumed where it broke off, verified by size and md5, and fetched once.

What has arrived lies in ``<path>.part`` and survives the process; only verified bytes get the name ``<path>``.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import requests
import urllib3
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from urllib3.util import Retry

from cfnsr import __version__
from cfnsr.corpora import disk
from cfnsr.errors import CfnsrError

USER_AGENT = f"cfnsr/{__version__}"
_CHUNK = 1 << 16  # what a broken connection may cost
_MAGIC = b"PK"  # how a zip archive begins
CONNECT_S = 20
_LONGEST_WAIT_S = 900
# Answers that another try may change: timeouts, too many requests, and a server's own troubles.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_REMEDY = "Run the command again: it goes on where it stopped; or name a mirror in fetch.base_url"


@dataclass(frozen=True)
class Archive:
    """A file as it must be.

    Attributes:
        name: its file name.
        url: where it is.
        size: its length in bytes.
        md5: its checksum, hexadecimal.
    """

    name: str
    url: str
    size: int
    md5: str


class _PassingError(Exception):
    """A fault that may pass; ``wait_s`` is how long the server asked to be left alone."""

    def __init__(self, problem: str, wait_s: float = 0) -> None:
        super().__init__(problem)
        self.wait_s = wait_s


class _NoRangeError(_PassingError):
    """The server will not go on in the middle; it may yet send the whole."""


def fetch(
    archive: Archive,
    folder: Path,
    *,
    tries: int,
    wait_s: float,
    timeout_s: float,
    moved: Callable[[int, int], None],
) -> Path:
    """Get an archive into a folder, or find it there.

    Args:
        archive: what to get.
        folder: where it goes, and where what has arrived of it may lie.
        tries: requests in a row that may fail without bringing anything, before giving up.
        wait_s: the first pause between two; it doubles, with chance in it, unless the server says ``Retry-After``.
        timeout_s: silence after which a connection is given up.
        moved: called with the bytes that are there, and with all.

    Raises:
        CfnsrError: it cannot be had, or is not what it must be.
    """
    whole = folder / archive.name
    if whole.is_file() and is_whole(whole, archive):
        moved(archive.size, archive.size)
        return whole
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{archive.name}.part"
    if part.exists() and part.stat().st_size > archive.size:
        part.unlink()
    most = _size(part)
    while _size(part) < archive.size:
        # As long as more bytes are there than ever before, a broken connection is no failure: the count of tries begins
        # anew. A server that starts from the beginning each time and never gets further is given up.
        with disk.room(folder, archive.size - max(_size(part), 0)):
            for attempt in _attempts(archive, tries, wait_s):
                with attempt, requests.Session() as session:
                    most = _more(session, archive, part, most, timeout_s, moved)
    found = md5(part)
    if found != archive.md5:
        part.unlink()
        raise CfnsrError(
            archive.url,
            f"its md5 is {found}, where {archive.md5} was expected",
            "Run the command again: the file was thrown away; if it recurs, the server has another file",
        )
    part.replace(whole)
    return whole


def is_whole(path: Path, archive: Archive) -> bool:
    """Whether a file is the archive, by size and md5."""
    return path.stat().st_size == archive.size and md5(path) == archive.md5


def md5(path: Path) -> str:
    """The checksum of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _attempts(archive: Archive, tries: int, wait_s: float) -> Retrying:
    backoff = wait_random_exponential(multiplier=wait_s, max=_LONGEST_WAIT_S)

    def wait(state: RetryCallState) -> float:
        fault = state.outcome.exception() if state.outcome else None
        return max(backoff(state), fault.wait_s if isinstance(fault, _PassingError) else 0)

    def give_up(state: RetryCallState) -> None:
        fault = state.outcome.exception() if state.outcome else None
        raise CfnsrError(archive.url, f"{fault}, {tries} times in a row", _REMEDY) from fault

    return Retrying(
        stop=stop_after_attempt(tries),
        wait=wait,
        retry=retry_if_exception_type(_PassingError),
        retry_error_callback=give_up,
    )


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else -1


def _more(
    session: requests.Session,
    archive: Archive,
    part: Path,
    most: int,
    timeout_s: float,
    moved: Callable[[int, int], None],
) -> int:
    """One request for what is missing; ``most`` is the most that was ever there. Returns how much is there now.

    Raises:
        _PassingError: that is not more, and another request may bring more.
        CfnsrError: no other will.
    """
    have = max(_size(part), 0)
    # No compression: ranges count the bytes of what is sent.
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    problem = "the server sent nothing new"
    try:
        with session.get(archive.url, headers=headers, stream=True, timeout=(CONNECT_S, timeout_s)) as response:
            start = _start(response, archive, have)
            _save(response, archive, part, start, moved)
    except _NoRangeError:
        part.unlink()
        raise
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        problem = f"the connection failed ({_reason(error)})"
    if _size(part) <= most:
        raise _PassingError(problem)
    return _size(part)


def _reason(error: BaseException) -> str:
    """The innermost of the exceptions that libraries wrap in each other."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__


def _start(response: requests.Response, archive: Archive, have: int) -> int:
    """At which byte of the archive an answer's body begins; raises if it is none of the archive's."""
    if response.status_code in _PASSING:
        raise _PassingError(f"the server answered {response.status_code} {response.reason}", _asked_to_wait(response))
    kind = response.headers.get("Content-Type", "")
    if response.status_code not in {200, 206, 416}:
        page = " with a web page" if "html" in kind else ""
        raise CfnsrError(archive.url, f"the server answered {response.status_code} {response.reason}{page}", _REMEDY)
    if "html" in kind:
        raise CfnsrError(archive.url, "the server sent a web page, not the archive", _REMEDY)
    if response.status_code == 200:
        _of_its_size(archive, response.headers.get("Content-Length"))
        return 0
    span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if span is not None:
        _of_its_size(archive, span[2])
    if response.status_code == 416 or span is None or span[1] is None or int(span[1]) > have:
        raise _NoRangeError(f"the server answered {response.status_code} to a request for a range")
    return int(span[1])


def _of_its_size(archive: Archive, told: str | None) -> None:
    if told is not None and told.isdecimal() and int(told) != archive.size:
        raise CfnsrError(
            archive.url,
            f"the server has {int(told):,} bytes, where {archive.size:,} were expected",
            "The server has another file: name another in fetch.base_url",
        )


def _asked_to_wait(response: requests.Response) -> float:
    """Seconds, from ``Retry-After`` or ``X-RateLimit-Reset``; 0 where the server says nothing of use.

    Raises:
        CfnsrError: it asks for more than anyone would sit through.
    """
    after, reset = response.headers.get("Retry-After"), response.headers.get("X-RateLimit-Reset", "")
    seconds = 0.0
    if after is not None:
        with suppress(urllib3.exceptions.InvalidHeader):
            seconds = Retry().parse_retry_after(after)
    elif reset.isdecimal() and response.headers.get("X-RateLimit-Remaining") == "0":
        seconds = max(0.0, int(reset) - time.time())  # the time of day at which requests are free again
    if seconds > _LONGEST_WAIT_S:
        raise CfnsrError(
            response.url,
            f"the server answered {response.status_code} and asks for a pause of {seconds / 60:.0f} minutes",
            "Run the command again after that: it goes on where it stopped",
        )
    return seconds


def _save(
    response: requests.Response, archive: Archive, part: Path, start: int, moved: Callable[[int, int], None]
) -> None:
    chunks = response.iter_content(_CHUNK)
    first = next(chunks, b"")
    if start == 0 and not _MAGIC.startswith(first[: len(_MAGIC)]):  # before it replaces what is there
        raise CfnsrError(archive.url, "the server sent something that is no zip archive", _REMEDY)
    done = start
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        for chunk in chain([first], chunks):
            if done + len(chunk) > archive.size:
                raise CfnsrError(archive.url, f"the server sends more than {archive.size:,} bytes", _REMEDY)
            file.write(chunk)
            done += len(chunk)
            moved(done, archive.size)
