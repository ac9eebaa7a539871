from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cfnsr import __version__
from cfnsr.corpora.download import Archive, fetch
from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError
from tests.support import served
from tests.support.served import Handler, Site, cut_after, instead, no_ranges, status

CONTENT = b"PK" + np.random.default_rng(0).bytes(300_000)
CHUNK = 1 << 16  # what a broken connection may cost
PAGE = b"<html>are you a robot?</html>"


@pytest.fixture
def site() -> Iterator[Site]:
    with served.serving() as site:
        site.files["/a.zip"] = CONTENT
        yield site


def wanted(site: Site) -> Archive:
    return Archive("a.zip", f"{site.url}/a.zip?download=1", len(CONTENT), hashlib.md5(CONTENT).hexdigest())


def got(site: Site, folder: Path, *, tries: int = 3, **changes: object) -> Path:
    archive = replace(wanted(site), **changes)  # pyright: ignore[reportArgumentType]
    return fetch(archive, folder, tries=tries, wait_s=0.001, timeout_s=5, moved=lambda done, total: None)


def test_an_archive_arrives_whole_and_once(site: Site, tmp_path: Path) -> None:
    moved: list[tuple[int, int]] = []
    path = fetch(wanted(site), tmp_path, tries=1, wait_s=0, timeout_s=5, moved=lambda *both: moved.append(both))
    assert path.read_bytes() == CONTENT and [one.name for one in tmp_path.iterdir()] == ["a.zip"]
    assert [done for done, _ in moved] == sorted(done for done, _ in moved)
    assert moved[-1] == (len(CONTENT), len(CONTENT))
    assert got(site, tmp_path) == path
    assert [one.agent for one in site.asked] == [f"cfnsr/{__version__}"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(0, len(CONTENT) - 1), max_size=5),
    there=st.integers(0, len(CONTENT)),
    abrupt=st.booleans(),
)
def test_a_broken_transfer_goes_on_where_it_stopped(
    site: Site, tmp_path_factory: pytest.TempPathFactory, cuts: list[int], there: int, abrupt: bool
) -> None:
    folder = tmp_path_factory.mktemp("fetched")
    (folder / "a.zip.part").write_bytes(CONTENT[:there])
    site.asked.clear()
    site.faults["/a.zip"] = [cut_after(cut, abrupt=abrupt) for cut in cuts]
    assert got(site, folder, tries=len(cuts) + 1).read_bytes() == CONTENT
    site.faults["/a.zip"].clear()
    wasted = site.sent("/a.zip") - (len(CONTENT) - there)
    # What a reset takes along, the network decides; an orderly end costs no more than a chunk.
    assert wasted >= 0 and (abrupt or wasted <= len(cuts) * CHUNK)


def test_a_server_without_ranges_sends_all_anew(site: Site, tmp_path: Path) -> None:
    site.faults["/a.zip"] = [cut_after(200_000), no_ranges]
    assert got(site, tmp_path).read_bytes() == CONTENT
    assert [(one.status, one.range is None) for one in site.asked] == [(200, True), (200, False)]


def range_elsewhere(handler: Handler, content: bytes) -> None:
    handler.answer(
        206, content[-10:], {"Content-Range": f"bytes {len(content) - 10}-{len(content) - 1}/{len(content)}"}
    )


@pytest.mark.parametrize("fault", [range_elsewhere, status(416), status(206, CONTENT[9:])])
def test_an_answer_to_a_range_that_is_of_no_use_has_all_sent_anew(
    site: Site, tmp_path: Path, fault: Callable[[Handler, bytes], None]
) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:100_000])
    site.faults["/a.zip"] = [fault]
    assert got(site, tmp_path).read_bytes() == CONTENT
    assert site.asked[-1].range is None


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_faults_that_pass_are_waited_for(site: Site, tmp_path: Path, code: int) -> None:
    site.faults["/a.zip"] = [status(code, PAGE, Content_Type="text/html")] * 2
    assert got(site, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("told", ["seconds", "date", "rate limit"])
def test_a_pause_that_the_server_asks_for_is_made(site: Site, tmp_path: Path, told: str) -> None:
    headers = {
        "seconds": {"Retry_After": "1"},
        "date": {"Retry_After": formatdate(time.time() + 2, usegmt=True)},
        "rate limit": {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(int(time.time()) + 2)},
    }
    site.faults["/a.zip"] = [status(429, **headers[told])]
    started = time.monotonic()
    assert got(site, tmp_path).read_bytes() == CONTENT
    assert time.monotonic() - started >= 0.9


@pytest.mark.parametrize("told", ["soon", "-5", ""])
def test_a_pause_that_makes_no_sense_is_not_made(site: Site, tmp_path: Path, told: str) -> None:
    site.faults["/a.zip"] = [status(503, Retry_After=told)]
    started = time.monotonic()
    assert got(site, tmp_path).read_bytes() == CONTENT
    assert time.monotonic() - started < 0.9


FATAL: dict[str, tuple[Callable[[Handler, bytes], None], str]] = {
    "forbidden, with a page": (status(403, PAGE, Content_Type="text/html"), "answered 403 Forbidden with a web page"),
    "not there": (status(404), "answered 404 Not Found"),
    "a page": (status(200, PAGE, Content_Type="text/html; charset=utf-8"), "sent a web page, not the archive"),
    "a page that says it is none": (status(200, PAGE.ljust(len(CONTENT))), "sent something that is no zip archive"),
    "a shorter file": (status(200, CONTENT[:-5]), r"the server has 299,997 bytes, where 300,002 were expected"),
    "a shorter file, in parts": (instead(CONTENT[:-5]), r"the server has 299,997 bytes, where 300,002 were expected"),
    "a pause of an hour": (status(429, Retry_After="3600"), "asks for a pause of 60 minutes"),
}


@pytest.mark.parametrize("fault", FATAL)
def test_faults_that_stay_are_one_clear_line_and_keep_what_is_there(site: Site, tmp_path: Path, fault: str) -> None:
    answer, told = FATAL[fault]
    site.faults["/a.zip"] = [cut_after(150_000), answer]
    with pytest.raises(CfnsrError, match=told) as error:
        got(site, tmp_path)
    assert "\n" not in str(error.value) and site.url in str(error.value)
    part = (tmp_path / "a.zip.part").read_bytes()
    assert CONTENT.startswith(part) and not (tmp_path / "a.zip").exists()
    assert len(part) >= 150_000 - CHUNK
    assert got(site, tmp_path).read_bytes() == CONTENT
    assert site.asked[-1].sent == len(CONTENT) - len(part)


def test_a_server_that_never_answers_well_is_given_up(site: Site, tmp_path: Path) -> None:
    site.faults["/a.zip"] = [status(503)] * 9
    with pytest.raises(CfnsrError, match=r"answered 503 Service Unavailable, 3 times in a row.*fetch\.base_url"):
        got(site, tmp_path)
    assert len(site.asked) == 3


def without_length(handler: Handler, content: bytes) -> None:
    handler.asked.status = 200
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(content[:-9])
    handler.close_connection = True


@pytest.mark.parametrize("forever", ["a shorter file of unknown length", "cut short, and never in the middle"])
def test_a_server_that_never_gets_further_is_given_up(site: Site, tmp_path: Path, forever: str) -> None:
    def cut_anew(handler: Handler, content: bytes) -> None:
        far = len(content) // 5 * (4 if len(site.asked) % 2 else 2)
        handler.answer(200, content, cut=far)

    fault = without_length if forever == "a shorter file of unknown length" else cut_anew
    site.faults["/a.zip"] = [fault] * 50
    with pytest.raises(CfnsrError, match=r"3 times in a row"):
        got(site, tmp_path)
    assert len(site.asked) <= 8
    site.faults["/a.zip"].clear()
    assert got(site, tmp_path).read_bytes() == CONTENT


def test_a_server_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    archive = Archive("a.zip", "http://127.0.0.1:1/a.zip", 10, "0" * 32)
    with pytest.raises(CfnsrError, match=r"the connection failed \(.*refused.*\), 2 times in a row"):
        fetch(archive, tmp_path, tries=2, wait_s=0, timeout_s=1, moved=lambda done, total: None)


def test_a_wrong_md5_leaves_nothing_and_shows_both(site: Site, tmp_path: Path) -> None:
    other = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    site.faults["/a.zip"] = [instead(other)]
    with pytest.raises(CfnsrError, match=f"its md5 is {hashlib.md5(other).hexdigest()}, where .* was expected"):
        got(site, tmp_path)
    assert not list(tmp_path.iterdir())
    assert got(site, tmp_path).read_bytes() == CONTENT


def test_what_lies_there_under_the_name_and_is_not_it_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT[:-1] + b"?")
    (tmp_path / "a.zip.part").write_bytes(CONTENT + b"too much")
    assert got(site, tmp_path).read_bytes() == CONTENT


DRIP = """
import sys
from cfnsr.corpora.download import Archive, fetch
from pathlib import Path
url, folder, size, md5 = sys.argv[1:]
fetch(Archive("a.zip", url, int(size), md5), Path(folder), tries=1, wait_s=0, timeout_s=30, moved=lambda *_: None)
"""


def test_what_has_arrived_survives_a_kill(site: Site, tmp_path: Path) -> None:
    def dripping(handler: Handler, content: bytes) -> None:
        handler.asked.status = 200
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:200_000])
        handler.asked.sent = 200_000
        time.sleep(3)

    site.faults["/a.zip"] = [dripping]
    one = wanted(site)
    child = subprocess.Popen([sys.executable, "-c", DRIP, one.url, str(tmp_path), str(one.size), one.md5])
    part, until = tmp_path / "a.zip.part", time.monotonic() + 30
    while not part.exists() or part.stat().st_size < 100_000:
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    have = part.stat().st_size
    assert got(site, tmp_path).read_bytes() == CONTENT
    assert site.asked[-1].range == f"bytes={have}-" and site.asked[-1].sent == len(CONTENT) - have


def test_a_full_disk_is_one_clear_line(site: Site, small_disk: Path) -> None:
    with pytest.raises(CfnsrError, match=r"the disk is full: .* MB are needed, .* MB are free"):
        got(site, small_disk, size=10**9)
    filler = small_disk / "filler"
    room = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize

    def then_fill(handler: Handler, content: bytes) -> None:
        filler.write_bytes(bytes(room - 100_000))
        handler.whole(content)

    site.faults["/a.zip"] = [then_fill]
    with pytest.raises(CfnsrError, match=r"the disk is full"):
        got(site, small_disk)
    filler.unlink()
    part = (small_disk / "a.zip.part").read_bytes()
    assert part and CONTENT.startswith(part)
    assert got(site, small_disk).read_bytes() == CONTENT
    assert site.asked[-1].sent == len(CONTENT) - len(part)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's device that is always full")
def test_a_write_that_fails_for_want_of_room_is_one_clear_line(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").symlink_to("/dev/full")
    with pytest.raises(CfnsrError, match=r"the disk is full"):
        got(site, tmp_path)


@pytest.mark.parametrize("own", [True, False])
def test_the_users_own_archive_is_taken_and_left_where_it_is(site: Site, tmp_path: Path, own: bool) -> None:
    local, partial = tmp_path / "own", tmp_path / "partial"
    local.mkdir()
    source = Source(site.url, local if own else None, partial, tries=1, wait_s=0, timeout_s=5)
    (local / "a.zip").write_bytes(CONTENT)
    with source.archive(wanted(site)) as path:
        assert path.read_bytes() == CONTENT and path.parent == (local if own else partial)
    assert (local / "a.zip").exists() and not list(partial.glob("*")) and len(site.asked) == (0 if own else 1)
    (local / "a.zip").write_bytes(b"PK other")
    if own:
        told = re.escape(f"{local / 'a.zip'}: has 8 bytes and md5")
        with pytest.raises(CfnsrError, match=told), source.archive(wanted(site)):
            pass


def test_an_archive_whose_work_failed_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    source = Source(site.url, None, tmp_path, tries=1, wait_s=0, timeout_s=5)
    with pytest.raises(CfnsrError, match="no room"), source.archive(wanted(site)):
        raise CfnsrError("there", "no room", "Make some")
    assert source.has(wanted(site))
    with source.archive(wanted(site)):
        pass
    assert len(site.asked) == 1 and not list(tmp_path.iterdir())
