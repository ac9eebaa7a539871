"""Fetch archives over HTTP: resumed where a transfer broke, checked by size and md5, fetched once.

What has arrived lies in ``<name>.part`` and survives the process; only verified bytes get the archive's name.
urllib3 repeats requests that fail before a body arrives; resuming within a body is done here.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError, ProtocolError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from cfnsr import __version__
from cfnsr.corpora.link_or_copy import disk_space
from cfnsr.errors import CfnsrError
from cfnsr.runtime import progress

PARTIAL = Path("data/.partial")  # archives under way; outside every output, which DVC deletes before a stage runs
USER_AGENT = f"cfnsr/{__version__}"

_CHUNK = 1 << 16  # bytes that a broken connection may cost
_ZIP_START = b"PK"
_CONNECT_S = 20
_LONGEST_PAUSE_S = 900
# Statuses that another request may change: timeouts, too many requests, and a server's own troubles.
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_REMEDY = "Run the command again: it resumes where it stopped; or name a mirror in fetch.base_url"


@dataclass(frozen=True)
class Archive:
    """A file on a server, and the size in bytes and md5 (hexadecimal) that it must have."""

    name: str
    url: str
    size: int
    md5: str

    def is_at(self, path: Path) -> bool:
        """Return whether a file is this archive, by size and md5."""
        return path.stat().st_size == self.size and md5(path) == self.md5


@dataclass(frozen=True)
class Source:
    """Where archives come from: the user's own folder, what was fetched before, or a server.

    Attributes:
        base_url: of the server, without a slash at its end.
        local: folder with the user's own archives and folders, looked at first; empty: there is none.
        tries: requests in a row that may bring nothing, before giving up.
        wait_s: factor of the pauses between them in seconds, which double; a server's ``Retry-After`` goes first.
        timeout_s: silence in seconds after which a connection is given up.
        partial: folder for what is being fetched.
    """

    base_url: str
    local: str
    tries: int
    wait_s: float
    timeout_s: float
    partial: Path = PARTIAL

    def __post_init__(self) -> None:
        if self.local and not Path(self.local).is_dir():
            problem = f"{self.local} is no folder"
            raise CfnsrError("params.yaml, fetch.local", problem, "Name a folder, or leave it empty")

    def own_folder(self, name: str) -> Path | None:
        """Return the user's own folder of this name, if there is one."""
        folder = Path(self.local) / name
        return folder if self.local and folder.is_dir() else None

    def has(self, archive: Archive) -> bool:
        """Return whether the archive is here already, the user's own or fetched before."""
        return self._own(archive) is not None or (self.partial / archive.name).is_file()

    @contextmanager
    def archive(self, archive: Archive) -> Iterator[Path]:
        """Yield the archive's path, fetched if the user has none; remove what was fetched after successful work.

        Raises:
            CfnsrError: it cannot be had, or is not what it must be.
        """
        own = self._own(archive)
        if own is not None:
            if not archive.is_at(own):
                size = own.stat().st_size
                problem = f"has {size:,} bytes and md5 {md5(own)}, not {archive.size:,} and {archive.md5}"
                raise CfnsrError(own, problem, "Remove it, and it will be fetched")
            yield own
            return
        with progress.transfer(archive.name) as moved:
            path = self.fetch(archive, moved)
        yield path
        path.unlink()

    def metadata(self, url: str) -> dict[str, Any] | None:
        """Return a server's JSON object; none if it does not send one."""
        try:
            answer = requests.get(url, headers={"User-Agent": USER_AGENT}, timeout=(_CONNECT_S, self.timeout_s))
            content = answer.json() if answer.ok else None
        except requests.RequestException:
            return None
        return content if isinstance(content, dict) else None

    def fetch(self, archive: Archive, moved: Callable[[int, int], None] = lambda done, total: None) -> Path:
        """Fetch an archive into ``partial``, or find it there.

        ``moved`` is called with the number of bytes that are there, and of all.

        Raises:
            CfnsrError: it cannot be had, or is not what it must be.
        """
        path = self.partial / archive.name
        if path.is_file() and archive.is_at(path):
            moved(archive.size, archive.size)
            return path
        self.partial.mkdir(parents=True, exist_ok=True)
        part = self.partial / f"{archive.name}.part"
        if _size(part) > archive.size:
            part.unlink()
        with disk_space(self.partial, archive.size - _size(part)), requests.Session() as session:
            for prefix in ("http://", "https://"):
                session.mount(prefix, HTTPAdapter(max_retries=self._retries()))
            self._resume_until_complete(session, archive, part, moved)
        checksum = md5(part)
        if checksum != archive.md5:
            part.unlink()
            problem = f"its md5 is {checksum}, where {archive.md5} was expected"
            remedy = "Run the command again: the file was deleted; if it recurs, the server has another file"
            raise CfnsrError(archive.url, problem, remedy)
        part.replace(path)
        return path

    def _resume_until_complete(
        self, session: requests.Session, archive: Archive, part: Path, moved: Callable[[int, int], None]
    ) -> None:
        # As long as more bytes are there than ever before, a broken connection is no failure. A server that starts
        # from the beginning each time and never gets further is given up.
        most, retries = _size(part), self._retries()
        while _size(part) < archive.size:
            problem = self._request(session, archive, part, moved)
            if _size(part) > most:
                most, retries = _size(part), self._retries()
                continue
            try:
                retries = retries.increment("GET", archive.url, error=ProtocolError(problem))
            except MaxRetryError as error:
                raise self._given_up(archive, problem) from error
            retries.sleep()

    def _request(
        self, session: requests.Session, archive: Archive, part: Path, moved: Callable[[int, int], None]
    ) -> str:
        """Request what is missing and save what arrives; return why that may be nothing.

        Raises:
            CfnsrError: another request would not help.
        """
        have, connected = _size(part), False
        # No compression: ranges count the bytes of what is sent.
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        headers |= {"Range": f"bytes={have}-"} if have else {}
        try:
            timeout = (_CONNECT_S, self.timeout_s)
            with session.get(archive.url, headers=headers, stream=True, timeout=timeout) as response:
                connected = True
                if response.status_code in _TEMPORARY:
                    raise self._given_up(archive, f"the server answered {response.status_code} {response.reason}")
                start = _first_byte(response, archive, have)
                if start is None:  # the server will not send the rest; it may yet send the whole
                    part.unlink()
                    return f"the server answered {response.status_code} to a request for a range"
                _save(response, archive, part, start, moved)
        except _LongPauseError as error:
            problem = f"the server asks for a pause of {error.args[0] / 60:.0f} minutes"
            raise CfnsrError(archive.url, problem, "Run the command again after that: it resumes") from error
        except (requests.RequestException, HTTPError) as error:
            problem = f"the connection failed ({_innermost(error)})"
            if not connected:  # urllib3 has tried as often as it may
                raise self._given_up(archive, problem) from error
            return problem
        return "the server sent nothing new"

    def _given_up(self, archive: Archive, problem: str) -> CfnsrError:
        return CfnsrError(archive.url, f"{problem}, {self.tries} times in a row", _REMEDY)

    def _own(self, archive: Archive) -> Path | None:
        path = Path(self.local) / archive.name
        return path if self.local and path.is_file() else None

    def _retries(self) -> Retry:
        pauses = {"backoff_factor": self.wait_s, "backoff_max": _LONGEST_PAUSE_S}
        return _Retries(total=self.tries - 1, status_forcelist=_TEMPORARY, raise_on_status=False, **pauses)


class _LongPauseError(Exception):
    """The server asks for a longer pause than anyone would sit through; its argument is in seconds."""


class _Retries(Retry):
    """urllib3's retries, with ``X-RateLimit-Reset`` beside ``Retry-After``, and a bound on both."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        seconds, reset = None, response.headers.get("X-RateLimit-Reset", "")
        with suppress(InvalidHeader):
            seconds = super().get_retry_after(response)
        if seconds is None and reset.isdecimal() and response.headers.get("X-RateLimit-Remaining") == "0":
            seconds = max(0.0, int(reset) - time.time())  # the time of day at which requests are free again
        if seconds is not None and seconds > _LONGEST_PAUSE_S:
            raise _LongPauseError(seconds)
        return seconds


def md5(path: Path) -> str:
    """Return the md5 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _innermost(error: BaseException) -> str:
    """Return the message of the innermost of exceptions that libraries wrap in each other."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__


def _first_byte(response: requests.Response, archive: Archive, have: int) -> int | None:
    """Return at which byte of the archive an answer begins; None for a wrong range; raise if it is another file."""
    kind = response.headers.get("Content-Type", "")
    if response.status_code not in {200, 206, 416}:
        page = " with a web page" if "html" in kind else ""
        raise CfnsrError(archive.url, f"the server answered {response.status_code} {response.reason}{page}", _REMEDY)
    if "html" in kind:
        raise CfnsrError(archive.url, "the server sent a web page, not the archive", _REMEDY)
    if response.status_code == 200:
        _check_size(archive, response.headers.get("Content-Length"))
        return 0
    span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if span is not None:
        _check_size(archive, span[2])
    if response.status_code == 416 or span is None or span[1] is None or int(span[1]) > have:
        return None
    return int(span[1])


def _check_size(archive: Archive, size: str | None) -> None:
    if size is not None and size.isdecimal() and int(size) != archive.size:
        problem = f"the server has {int(size):,} bytes, where {archive.size:,} were expected"
        raise CfnsrError(archive.url, problem, "The server has another file: name another in fetch.base_url")


def _save(
    response: requests.Response, archive: Archive, part: Path, start: int, moved: Callable[[int, int], None]
) -> None:
    chunks = response.iter_content(_CHUNK)
    first = next(chunks, b"")
    if start == 0 and not _ZIP_START.startswith(first[: len(_ZIP_START)]):  # before it replaces what is there
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
