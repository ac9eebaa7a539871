from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cfnsr import __version__
from cfnsr.corpora import download
from cfnsr.corpora.download import Archive
from cfnsr.errors import CfnsrError
from tests.support.full_disk import needs_full_device
from tests.support.served import CONTENT, Handler, Site, archive_of, cut_after, instead, no_ranges, status

CHUNK = 1 << 16  # bytes that an interrupted connection may lose
PAGE = b"<html>are you a robot?</html>"


def fetch(site: Site, folder: Path, *, tries: int = 3, **changes: Any) -> Path:
    archive = replace(archive_of(site), **changes)
    return download.fetch(archive, folder, tries, wait_s=0.001, timeout_s=5, min_rate=1)


def test_archive_is_fetched_whole_and_once(site: Site, tmp_path: Path) -> None:
    moved: list[tuple[int, int]] = []
    path = download.fetch(archive_of(site), tmp_path, 1, 0.001, 5, 1, lambda *sizes: moved.append(sizes))
    assert path.read_bytes() == CONTENT and [entry.name for entry in tmp_path.iterdir()] == ["a.zip"]
    assert [done for done, _ in moved] == sorted(done for done, _ in moved)
    assert moved[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(site, tmp_path) == path
    assert [request.agent for request in site.asked] == [f"cfnsr/{__version__}"]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(0, len(CONTENT) - 1), max_size=5),
    there=st.integers(0, len(CONTENT)),
    abrupt=st.booleans(),
)
def test_broken_transfer_resumes_where_it_stopped(
    site: Site, tmp_path_factory: pytest.TempPathFactory, cuts: list[int], there: int, abrupt: bool
) -> None:
    folder = tmp_path_factory.mktemp("fetched")
    (folder / "a.zip.part").write_bytes(CONTENT[:there])
    site.asked.clear()
    site.faults["/a.zip"] = [cut_after(cut, abrupt=abrupt) for cut in cuts]
    assert fetch(site, folder, tries=len(cuts) + 1).read_bytes() == CONTENT
    site.faults["/a.zip"].clear()
    wasted = site.sent("/a.zip") - (len(CONTENT) - there)
    # A reset may lose any number of bytes; an orderly end loses at most one chunk.
    assert wasted >= 0 and (abrupt or wasted <= len(cuts) * CHUNK)


def test_server_without_ranges_sends_everything_again(site: Site, tmp_path: Path) -> None:
    site.faults["/a.zip"] = [cut_after(200_000), no_ranges]
    assert fetch(site, tmp_path).read_bytes() == CONTENT
    assert [(request.status, request.range is None) for request in site.asked] == [(200, True), (200, False)]


def range_elsewhere(handler: Handler, content: bytes) -> None:
    handler.answer(
        206, content[-10:], {"Content-Range": f"bytes {len(content) - 10}-{len(content) - 1}/{len(content)}"}
    )


def range_without_end(handler: Handler, content: bytes) -> None:
    handler.answer(206, content[:10], {"Content-Range": f"bytes {'9' * 5000}-{'9' * 5000}/{'9' * 5000}"})


@pytest.mark.parametrize("fault", [range_elsewhere, status(416), status(206, CONTENT[9:]), range_without_end])
def test_wrong_range_restarts_the_download(site: Site, tmp_path: Path, fault: Callable[[Handler, bytes], None]) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:100_000])
    site.faults["/a.zip"] = [fault]
    assert fetch(site, tmp_path).read_bytes() == CONTENT
    assert site.asked[-1].range is None


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_temporary_errors_are_retried(site: Site, tmp_path: Path, code: int) -> None:
    site.faults["/a.zip"] = [status(code, PAGE, Content_Type="text/html")] * 2
    assert fetch(site, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("header", ["seconds", "date", "rate limit"])
def test_pause_that_the_server_asks_for(site: Site, tmp_path: Path, header: str) -> None:
    headers = {
        "seconds": {"Retry_After": "1"},
        "date": {"Retry_After": formatdate(time.time() + 2, usegmt=True)},
        "rate limit": {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(int(time.time()) + 2)},
    }
    site.faults["/a.zip"] = [status(429, **headers[header])]
    started = time.monotonic()
    assert fetch(site, tmp_path).read_bytes() == CONTENT
    assert time.monotonic() - started >= 0.9


def test_a_range_that_nobody_asked_for_is_an_error(site: Site, tmp_path: Path) -> None:
    site.faults["/a.zip"] = [status(416)] * 3
    with pytest.raises(CfnsrError, match=r"answered 416 to a request for a range, 3 times in a row"):
        fetch(site, tmp_path)
    site.faults["/a.zip"] = [status(416)]
    assert fetch(site, tmp_path).read_bytes() == CONTENT


def drip(handler: Handler, content: bytes) -> None:
    """Send a byte every tenth of a second, so that no timeout ends it."""
    handler.send_response(206 if handler.asked.range else 200)
    start = int((handler.asked.range or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    handler.send_header("Content-Length", str(len(content) - start))
    handler.end_headers()
    with suppress(ConnectionError):
        for position in range(start, start + 100):
            handler.wfile.write(content[position : position + 1])
            time.sleep(0.1)


def test_a_server_that_drips_is_given_up(site: Site, tmp_path: Path) -> None:
    site.faults["/a.zip"] = [drip] * 10
    with pytest.raises(CfnsrError, match=r"sent less than 1000 bytes a second, 2 times in a row"):
        download.fetch(archive_of(site), tmp_path, 2, 0.001, timeout_s=0.3, min_rate=1000)
    assert len(site.asked) == 2


@pytest.mark.parametrize("header", ["soon", "-5", "", "9" * 5000])
def test_meaningless_pause_is_ignored(site: Site, tmp_path: Path, header: str) -> None:
    site.faults["/a.zip"] = [status(503, Retry_After=header)]
    started = time.monotonic()
    assert fetch(site, tmp_path).read_bytes() == CONTENT
    assert time.monotonic() - started < 0.9


FATAL: dict[str, tuple[Callable[[Handler, bytes], None], str]] = {
    "forbidden, with a page": (status(403, PAGE, Content_Type="text/html"), "answered 403 Forbidden with a web page"),
    "not there": (status(404), "answered 404 Not Found"),
    "a page": (status(200, PAGE, Content_Type="text/html; charset=utf-8"), "sent a web page, not the archive"),
    "a page of another type": (status(200, PAGE.ljust(len(CONTENT))), "sent a file that is not a zip archive"),
    "a shorter file": (status(200, CONTENT[:-5]), r"the server has 299,997 bytes, where 300,002 were expected"),
    "a shorter file, in parts": (instead(CONTENT[:-5]), r"the server has 299,997 bytes, where 300,002 were expected"),
    "a size without end": (status(200, CONTENT, Content_Length="9" * 5000), "the server has far more bytes, where"),
    "a pause without end": (status(429, Retry_After="9" * 400), "asks for a pause of 360 minutes"),
    "a pause of an hour": (status(429, Retry_After="3600"), "asks for a pause of 60 minutes"),
}


@pytest.mark.parametrize("fault", FATAL)
def test_permanent_error_is_one_line_and_keeps_bytes(site: Site, tmp_path: Path, fault: str) -> None:
    answer, message = FATAL[fault]
    site.faults["/a.zip"] = [cut_after(150_000), answer]
    with pytest.raises(CfnsrError, match=message) as error:
        fetch(site, tmp_path)
    assert "\n" not in str(error.value) and site.url in str(error.value)
    part = (tmp_path / "a.zip.part").read_bytes()
    assert CONTENT.startswith(part) and not (tmp_path / "a.zip").exists()
    assert len(part) >= 150_000 - CHUNK
    assert fetch(site, tmp_path).read_bytes() == CONTENT
    assert site.asked[-1].sent == len(CONTENT) - len(part)


def test_server_that_always_errs_is_given_up(site: Site, tmp_path: Path) -> None:
    site.faults["/a.zip"] = [status(503)] * 9
    with pytest.raises(CfnsrError, match=r"answered 503 Service Unavailable, 3 times in a row.*fetch\.base_url"):
        fetch(site, tmp_path)
    assert len(site.asked) == 3


def without_length(handler: Handler, content: bytes) -> None:
    handler.asked.status = 200
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(content[:-9])
    handler.close_connection = True


@pytest.mark.parametrize("forever", ["a shorter file of unknown length", "cut short, and never in the middle"])
def test_server_that_sends_nothing_new_is_given_up(site: Site, tmp_path: Path, forever: str) -> None:
    def cut_anew(handler: Handler, content: bytes) -> None:
        far = len(content) // 5 * (4 if len(site.asked) % 2 else 2)
        handler.answer(200, content, cut=far)

    fault = without_length if forever == "a shorter file of unknown length" else cut_anew
    site.faults["/a.zip"] = [fault] * 50
    with pytest.raises(CfnsrError, match=r"3 times in a row"):
        fetch(site, tmp_path)
    assert len(site.asked) <= 8
    site.faults["/a.zip"].clear()
    assert fetch(site, tmp_path).read_bytes() == CONTENT


def test_absent_server_is_one_clear_line(tmp_path: Path) -> None:
    url = "http://127.0.0.1:1"
    with pytest.raises(CfnsrError, match=r"the connection failed \(.*refused.*\), 2 times in a row"):
        download.fetch(
            Archive("a.zip", f"{url}/a.zip", 10, "0" * 32), tmp_path, tries=2, wait_s=0, timeout_s=1, min_rate=1
        )


def test_wrong_md5_leaves_nothing_and_shows_both(site: Site, tmp_path: Path) -> None:
    other = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    site.faults["/a.zip"] = [instead(other)]
    with pytest.raises(CfnsrError, match=f"its md5 is {hashlib.md5(other).hexdigest()}, where .* was expected"):
        fetch(site, tmp_path)
    assert not list(tmp_path.iterdir())
    assert fetch(site, tmp_path).read_bytes() == CONTENT


def test_other_file_of_the_name_is_replaced(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT[:-1] + b"?")
    (tmp_path / "a.zip.part").write_bytes(CONTENT + b"too much")
    assert fetch(site, tmp_path).read_bytes() == CONTENT


DRIP = """
import sys
from cfnsr.corpora.download import Archive, fetch
from pathlib import Path
from typing import Any
url, folder, size, md5 = sys.argv[1:]
fetch(Archive("a.zip", url, int(size), md5), Path(folder), tries=1, wait_s=0, timeout_s=30, min_rate=1)
"""


def test_received_bytes_survive_a_kill(site: Site, tmp_path: Path) -> None:
    def dripping(handler: Handler, content: bytes) -> None:
        handler.asked.status = 200
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:200_000])
        handler.asked.sent = 200_000
        killed.wait(30)

    killed = threading.Event()
    site.faults["/a.zip"] = [dripping]
    archive = archive_of(site)
    child = subprocess.Popen([sys.executable, "-c", DRIP, archive.url, str(tmp_path), str(archive.size), archive.md5])
    part, until = tmp_path / "a.zip.part", time.monotonic() + 30
    while not part.exists() or part.stat().st_size < 100_000:
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    killed.set()
    have = part.stat().st_size
    assert fetch(site, tmp_path).read_bytes() == CONTENT
    assert site.asked[-1].range == f"bytes={have}-" and site.asked[-1].sent == len(CONTENT) - have


def test_full_disk_is_one_clear_line(site: Site, small_disk: Path) -> None:
    with pytest.raises(CfnsrError, match=r"the disk is full: .* MB are needed, .* MB are free"):
        fetch(site, small_disk, size=10**9)
    filler = small_disk / "filler"
    room = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize

    def then_fill(handler: Handler, content: bytes) -> None:
        filler.write_bytes(bytes(room - 100_000))
        handler.whole(content)

    site.faults["/a.zip"] = [then_fill]
    with pytest.raises(CfnsrError, match=r"the disk is full"):
        fetch(site, small_disk)
    filler.unlink()
    part = (small_disk / "a.zip.part").read_bytes()
    assert part and CONTENT.startswith(part)
    assert fetch(site, small_disk).read_bytes() == CONTENT
    assert site.asked[-1].sent == len(CONTENT) - len(part)


@needs_full_device
def test_failed_write_is_one_clear_line(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").symlink_to("/dev/full")
    with pytest.raises(CfnsrError, match=r"the disk is full"):
        fetch(site, tmp_path)
