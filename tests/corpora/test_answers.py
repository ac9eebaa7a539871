"""What servers may answer instead of a short list in JSON."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest
import requests

from cfnsr.corpora import answers
from tests.support.memory import at_most
from tests.support.served import Handler, Site


def without_end(handler: Handler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    with suppress(ConnectionError):
        for _ in range(64):
            handler.wfile.write(b" " * 2**20)
    handler.close_connection = True


def drip(handler: Handler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    with suppress(ConnectionError):
        for _ in range(50):
            handler.wfile.write(b" ")
            time.sleep(0.05)
    handler.close_connection = True


def body(content: bytes) -> Callable[[Handler, bytes], None]:
    return lambda handler, _: handler.answer(200, content)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (body(b'{"files": []}'), {"files": []}),
        (body(b""), {}),
        (body(b"[1]"), {}),
        (body(b"<html>"), {}),
        (body(b'{"size": ' + b"9" * 5000 + b"}"), {}),
        (body(b"[" * 100_000), {}),
        (body(b"\xff\xfe"), {}),
        (without_end, {}),
    ],
)
def test_any_answer_is_read(site: Site, answer: Callable[[Handler, bytes], None], expected: object) -> None:
    site.faults["/a.zip"] = [answer]
    with at_most(megabytes=40), requests.get(f"{site.url}/a.zip", stream=True, timeout=5) as response:
        assert answers.json_of(response, timeout_s=5) == expected


def test_an_answer_that_drips_is_given_up(site: Site) -> None:
    site.faults["/a.zip"] = [drip]
    started_s = time.monotonic()
    with requests.get(f"{site.url}/a.zip", stream=True, timeout=5) as response, pytest.raises(requests.Timeout):
        answers.json_of(response, timeout_s=0.2)
    assert time.monotonic() - started_s < 1.5
