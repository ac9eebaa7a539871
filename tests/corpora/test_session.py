"""What servers may send before the body of an answer, and after it."""

from __future__ import annotations

import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import requests
from requests.adapters import BaseAdapter
from urllib3.response import HTTPResponse

from cfnsr.corpora import download
from cfnsr.corpora.session import Session
from cfnsr.errors import CfnsrError
from tests.support.memory import at_most
from tests.support.served import BUSY, CONTENT, Handler, Site, archive_of, forever, status

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: /a.zip\r\n"
OF_100_KB = b"Content-Length: 100000\r\n\r\n"
MB = b" " * 2**20

FAULTS = {
    "redirect, endless body": forever(MOVED + b"\r\n", MB, 0.01),
    "redirect, dripping body": forever(MOVED + OF_100_KB, b" ", 0.1),
    "503, endless body": forever(BUSY + b"\r\n", MB, 0.01),
    "503, dripping body": forever(BUSY + OF_100_KB, b" ", 0.1),
    "dripping status": forever(b"HTTP/1.1 ", b"2", 0.1),
    "dripping header": forever(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.1),
    "slow 100 Continue": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1),
    "fast 100 Continue": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.001),
    "dripping size of a chunk": forever(CHUNKED + b"1", b";", 0.1),
    "slow trailers": forever(CHUNKED + b"2\r\nPK\r\n0\r\n", b"X: x\r\n", 0.1),
    "fast trailers": forever(CHUNKED + b"2\r\nPK\r\n0\r\n", b"X: x\r\n" * 100, 0.001),
}


def fetch(site: Site, folder: Path, tries: int = 2, **changes: object) -> Path:
    archive = replace(archive_of(site), **changes)  # pyright: ignore[reportArgumentType]
    return download.fetch(archive, folder, tries, wait_s=0.001, timeout_s=0.3, min_rate=1000)


@pytest.mark.parametrize("fault", FAULTS)
def test_endless_answers_are_given_up(site: Site, tmp_path: Path, fault: str) -> None:
    site.faults["/a.zip"] = [FAULTS[fault]]
    started_s = time.monotonic()
    with at_most(megabytes=20):
        assert fetch(site, tmp_path).read_bytes() == CONTENT
    assert time.monotonic() - started_s < 1.5
    assert len(site.asked) == 2


@pytest.mark.parametrize("address", ["http://[::1", "/\xe4.zip", "http://a b:x/", "file:///etc/passwd"])
def test_unreadable_redirects_are_one_line(site: Site, tmp_path: Path, address: str) -> None:
    site.faults["/a.zip"] = [status(302, Location=address)]
    with pytest.raises(CfnsrError, match=r"no usable address \(.*\)\. Run") as error:
        fetch(site, tmp_path)
    assert "\n" not in str(error.value)


def test_at_most_five_redirects_are_followed(site: Site, tmp_path: Path) -> None:
    site.faults["/a.zip"] = [status(302, Location="/a.zip")] * 9
    with pytest.raises(CfnsrError, match="Exceeded 5 redirects"):
        fetch(site, tmp_path)
    assert len(site.asked) == 6


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_secrets_stay_with_the_host(site: Site, tmp_path: Path, host: str) -> None:
    received: list[str] = []

    def note(handler: Handler, content: bytes) -> None:
        received.extend(name for name in ("Authorization", "X-Key", "Range") if name in handler.headers)
        handler.whole(content)

    (tmp_path / "a.zip.part").write_bytes(CONTENT[:1000])
    address = site.url.replace("127.0.0.1", host)
    site.faults["/a.zip"] = [status(302, Location=f"{address}/a.zip"), note]
    assert fetch(site, tmp_path, headers={"Authorization": "Basic eDp5", "X-Key": "1"}).read_bytes() == CONTENT
    assert received == (["Range"] if host == "localhost" else ["Authorization", "X-Key", "Range"])


class Redirects(BaseAdapter):
    """Stands in for a server with a certificate."""

    def send(self, request: requests.PreparedRequest, *args: object, **options: object) -> requests.Response:
        response = requests.Response()
        response.status_code, response.url, response.raw = (
            302,
            str(request.url),
            HTTPResponse(BytesIO(), preload_content=False),
        )
        response.headers["Location"] = "HTTP://127.0.0.1:1/a.zip"
        return response

    def close(self) -> None:
        pass


def test_no_redirect_gives_up_encryption() -> None:
    with Session(timeout_s=1) as session:
        session._requests.mount("https://", Redirects())
        with pytest.raises(requests.exceptions.InvalidURL, match="not encrypted"):
            session.ask("GET", "https://127.0.0.1/a.zip")
