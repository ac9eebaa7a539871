"""Fetch archives over HTTP: resume interrupted transfers, check size and checksum, fetch no archive twice.

Received bytes are kept in ``<name>.part`` when the process ends; only verified bytes get the archive's name. urllib3
retries requests that fail before the body; this module resumes within the body.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError
from urllib3.util import Retry

from cfnsr.corpora import answers
from cfnsr.corpora.answers import SlowError
from cfnsr.corpora.link_or_copy import disk_space
from cfnsr.corpora.retries import LONGEST_PAUSE_S, TEMPORARY, LongPauseError, Retries
from cfnsr.corpora.session import Session
from cfnsr.errors import CfnsrError
from cfnsr.runtime.checksum import md5, sha256

_RANGE = re.compile(r"bytes (?:([0-9]{1,18})-[0-9]{1,18}|\*)/([0-9]{1,18}|\*)")
_REMEDY = "Run the command again: it resumes where it stopped; or set fetch.base_url to another server"


@dataclass(frozen=True)
class Archive:
    """A file on a server, and what it must be.

    Attributes:
        name: of the file.
        url: its address.
        size: in bytes.
        md5, sha256: one of the two, hexadecimal.
        start: its first bytes.
        headers: of the request, beside our own.
    """

    name: str
    url: str
    size: int
    md5: str = ""
    sha256: str = ""
    start: bytes = b"PK"
    headers: dict[str, str] = field(default_factory=dict)

    def is_at(self, path: Path) -> bool:
        """Return whether a file is this archive, by size and checksum."""
        return path.stat().st_size == self.size and not self.wrong_checksum(path)

    def checksum(self, path: Path) -> tuple[str, str, str]:
        """Return the algorithm, a file's checksum, and the archive's."""
        return ("sha256", sha256(path), self.sha256) if self.sha256 else ("md5", md5(path), self.md5)

    def wrong_checksum(self, path: Path) -> str:
        """Return what is wrong with a file's checksum; empty if it is right."""
        algorithm, actual, expected = self.checksum(path)
        return "" if actual == expected else f"its {algorithm} is {actual}, where {expected} was expected"

    def check_own(self, path: Path) -> None:
        """Check a file of the user.

        Raises:
            CfnsrError: it is another file.
        """
        if not self.is_at(path):
            algorithm, actual, expected = self.checksum(path)
            sizes = f"has {path.stat().st_size:,} bytes and {algorithm} {actual}, not {self.size:,} and {expected}"
            raise CfnsrError(path, sizes, "Delete it and run the command again, which fetches the right file")


def fetch(
    archive: Archive,
    folder: Path,
    tries: int,
    wait_s: float,
    timeout_s: float,
    min_rate: float,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Fetch an archive into a folder, unless it is there; return its path.

    Args:
        archive: the archive.
        folder: created if it is missing.
        tries: requests in a row without new bytes, or with too few, before the download fails.
        wait_s: first pause between them in seconds; pauses double, unless the server sends ``Retry-After``.
        timeout_s: seconds without data, or of headers, before a connection is closed.
        min_rate: bytes a second; a connection that is slower over ``timeout_s`` is closed.
        on_progress: called with the number of received bytes and of all bytes.

    Raises:
        CfnsrError: it cannot be fetched, or has another size or checksum.
    """
    path = folder / archive.name
    if path.is_file() and archive.is_at(path):
        on_progress(archive.size, archive.size)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{archive.name}.part"
    if _size(part) > archive.size:
        part.unlink()
    with disk_space(folder, archive.size - _size(part)):
        _Transfer(archive, part, tries, wait_s, timeout_s, min_rate, on_progress).run()
    problem = archive.wrong_checksum(part)
    if problem:
        part.unlink()
        remedy = "Run the command again: the file was deleted; if it recurs, the server has another file"
        raise CfnsrError(archive.url, problem, remedy)
    part.replace(path)
    return path


@dataclass
class _Transfer:
    """The transfer of one archive into the file ``part``, over as many requests as it takes; see ``fetch``."""

    archive: Archive
    part: Path
    tries: int
    wait_s: float
    timeout_s: float
    min_rate: float
    on_progress: Callable[[int, int], None]

    def run(self) -> None:
        """Send requests until all bytes are there.

        Raises:
            CfnsrError: the archive cannot be fetched.
        """
        with Session(self.timeout_s, self._retries()) as session:
            # An interruption counts only if the file has not grown beyond its largest size so far: a server that
            # starts from the beginning each time, and never gets further, must not be asked forever.
            largest, retries = _size(self.part), self._retries()
            while _size(self.part) < self.archive.size:
                started_s = time.monotonic()
                problem = self._request(session)
                grown, largest = _size(self.part) - largest, max(largest, _size(self.part))
                enough = self.min_rate * max(1.0, time.monotonic() - started_s)
                if grown > 0 and (grown >= enough or largest == self.archive.size):
                    retries = self._retries()
                    continue
                try:
                    retries = retries.increment("GET", self.archive.url, error=ProtocolError(problem))
                except MaxRetryError as error:
                    raise self._out_of_tries(problem) from error
                retries.sleep()

    def _request(self, session: Session) -> str:
        """Request the missing bytes and save what arrives; return the reason if nothing does.

        Raises:
            CfnsrError: another request would fail too.
        """
        start, connected = _size(self.part), False
        # No compression: ranges count the bytes that are sent.
        headers = self.archive.headers | {"Accept-Encoding": "identity"}
        headers |= {"Range": f"bytes={start}-"} if start else {}
        try:
            with session.ask("GET", self.archive.url, headers) as response:
                connected = True
                if response.status_code in TEMPORARY:
                    raise self._out_of_tries(f"the server answered {response.status_code} {response.reason}")
                first = self._first_byte(response, start)
                if first is None:  # the server does not send the rest; request the whole archive next
                    self.part.unlink(missing_ok=True)
                    return f"the server answered {response.status_code} to a request for a range"
                self._save(response, first)
        except SlowError:
            return f"the server sent less than {self.min_rate:g} bytes a second"
        except LongPauseError as error:
            problem = f"the server asks for a pause of {error.args[0] / 60:.0f} minutes"
            raise self._error(problem, "Run the command again after that: it resumes") from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.TooManyRedirects) as error:
            raise self._error(f"leads to no usable address ({answers.innermost(error)})") from error
        except (requests.RequestException, HTTPError, TimeoutError) as error:
            problem = f"the connection failed ({answers.innermost(error)})"
            if not connected:  # urllib3 has made all retries
                raise self._out_of_tries(problem) from error
            return problem
        return "the server sent nothing new"

    def _first_byte(self, response: requests.Response, received: int) -> int | None:
        """Return the byte of the archive that a response starts at; None if its range is wrong."""
        is_page = "html" in response.headers.get("Content-Type", "")
        if response.status_code not in {200, 206, 416}:
            page = " with a web page" if is_page else ""
            raise self._error(f"the server answered {response.status_code} {response.reason}{page}")
        if is_page:
            raise self._error("the server sent a web page, not the archive")
        if response.status_code == 200:
            self._check_size(response.headers.get("Content-Length"))
            return 0
        span = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if span is not None:
            self._check_size(span[2])
        if response.status_code == 416 or span is None or span[1] is None or int(span[1]) > received:
            return None
        return int(span[1])

    def _check_size(self, size: str | None) -> None:
        if size is not None and size.isdecimal() and size.lstrip("0") != str(self.archive.size):
            number = f"{int(size):,}" if len(size) <= 18 else "far more"
            problem = f"the server has {number} bytes, where {self.archive.size:,} were expected"
            raise self._error(problem, "The server has another file: set fetch.base_url to another server")

    def _save(self, response: requests.Response, start: int) -> None:
        chunks = answers.chunks(response, self.timeout_s, self.min_rate)
        first = next(chunks, b"")
        # Checked before it overwrites received bytes.
        expected = self.archive.start
        if start == 0 and not expected.startswith(first[: len(expected)]):
            kind = "a zip archive" if expected == Archive.start else f"a file of {expected.decode()}"
            raise self._error(f"the server sent a file that is not {kind}")
        done = start
        with self.part.open("r+b" if start else "wb") as file:
            file.seek(start)
            for chunk in chain([first], chunks):
                if done + len(chunk) > self.archive.size:
                    raise self._error(f"the server sends more than {self.archive.size:,} bytes")
                file.write(chunk)
                done += len(chunk)
                self.on_progress(done, self.archive.size)

    def _error(self, problem: str, remedy: str = _REMEDY) -> CfnsrError:
        return CfnsrError(self.archive.url, problem, remedy)

    def _out_of_tries(self, problem: str) -> CfnsrError:
        return self._error(f"{problem}, {self.tries} times in a row")

    def _retries(self) -> Retry:
        pauses = {"backoff_factor": self.wait_s, "backoff_max": LONGEST_PAUSE_S}
        return Retries(total=self.tries - 1, status_forcelist=TEMPORARY, raise_on_status=False, **pauses)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
