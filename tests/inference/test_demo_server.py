"""What the server of the demo lets in, who waits, and that nothing is left."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from cfnsr.inference.card import NOT_FOR, Card, HeldOut
from cfnsr.inference.demo import server
from cfnsr.inference.demo.choices import Choice, choices
from tests.support.demo import CHOICES, StandIn, running_loop, served

HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
def address(stand_in: StandIn, folder: Path) -> Iterator[str]:
    with running_loop() as loop, served(stand_in, folder, loop=loop) as address:
        yield address


def post(address: str, body: object = b"sound", query: str = "model=0&only=", **headers: str) -> requests.Response:
    headers = {"Origin": address, **headers}
    return requests.post(f"{address}/predict?{query}", data=body, headers=headers, stream=True, timeout=20)  # pyright: ignore


def answers(response: requests.Response) -> list[dict[str, object]]:
    return [json.loads(line) for line in response.iter_lines()]


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_recording_reaches_the_worker_and_is_deleted(address: str, stand_in: StandIn, folder: Path) -> None:
    stand_in.allowed = 99
    response = post(address, b"x" * 3_000, "model=0&only=voice")
    assert answers(response) == [{"done_s": 0.0, "of_s": 1.0}, {"result": "<p>3000 bytes</p>"}]
    ((path, content, model, only),) = stand_in.begun
    assert (content, model, only) == (b"x" * 3_000, str(CHOICES[0].path), "voice")
    assert path.is_relative_to(folder)
    wait_for(lambda: not [*folder.iterdir()])


def test_others_wait_and_are_told(address: str, stand_in: StandIn, folder: Path) -> None:
    responses = [post(address, bytes([number])) for number in range(3)]
    lines = [response.iter_lines() for response in responses]
    assert [json.loads(next(each)) for each in lines] == [{"done_s": 0.0, "of_s": 1.0}, {"waiting": 1}, {"waiting": 2}]
    assert len(stand_in.begun) == 1 and len([*folder.iterdir()]) == 3
    stand_in.allowed = 1
    assert json.loads(next(lines[2])) == {"waiting": 1}
    stand_in.allowed = 3
    rest = [[json.loads(line) for line in each] for each in lines]
    assert all("result" in each[-1] for each in rest)
    assert stand_in.ended == ["done"] * 3


def test_who_goes_away_gives_up_the_job(address: str, stand_in: StandIn, folder: Path) -> None:
    first, second = post(address, b"1"), post(address, b"2")
    lines = [response.iter_lines() for response in (first, second)]  # kept: without them the responses would end
    assert all(next(each) for each in lines)
    second.close()
    wait_for(lambda: len([*folder.iterdir()]) == 1)
    first.close()
    wait_for(lambda: stand_in.ended == ["given up"] and not [*folder.iterdir()])
    stand_in.allowed = 99
    assert "result" in answers(post(address))[-1]
    assert len(stand_in.begun) == 2


def test_too_large_upload_is_refused_at_once(address: str, folder: Path) -> None:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    connection.putrequest("POST", "/predict?model=0&only=")
    for name, value in (("Origin", address), ("Content-Length", "2000000000")):
        connection.putheader(name, value)
    connection.endheaders()  # and no body
    response = connection.getresponse()
    assert response.status == 413 and json.loads(response.read()) == {"error": "The recording is larger than 1 MB"}
    connection.close()
    most = 0

    def chunks() -> Iterator[bytes]:
        nonlocal most
        for _ in range(40):
            yield b"x" * 100_000
            with suppress(FileNotFoundError):  # deleted meanwhile
                most = max([most, *(file.stat().st_size for file in folder.glob("*/*"))])

    assert post(address, chunks()).status_code == 413
    assert most <= 1_000_000
    wait_for(lambda: not [*folder.iterdir()])


def test_upload_that_breaks_off_leaves_nothing(address: str, stand_in: StandIn, folder: Path) -> None:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    connection.putrequest("POST", "/predict?model=0&only=")
    for name, value in (("Origin", address), ("Content-Length", "500000")):
        connection.putheader(name, value)
    connection.endheaders(b"x" * 100_000)
    wait_for(lambda: bool([*folder.iterdir()]))
    connection.close()
    wait_for(lambda: not [*folder.iterdir()])
    assert not stand_in.begun


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"Host": "attacker.example"}, "model=0", 403),
        ({"Origin": "http://attacker.example"}, "model=0", 403),
        ({"Origin": "null"}, "model=0", 403),
        ({}, "model=../../model.safetensors", 400),
        ({}, "model=0&only=soul", 400),
    ],
)
def test_what_is_not_the_page_is_refused(
    address: str, stand_in: StandIn, headers: dict[str, str], query: str, status: int
) -> None:
    response = post(address, b"1", query, **headers)
    assert response.status_code == status and response.json()["error"]
    assert not stand_in.begun


def test_queue_has_an_end(address: str, stand_in: StandIn) -> None:
    responses = [post(address) for _ in range(8)]
    assert [response.status_code for response in responses] == [200] * 8
    assert post(address).status_code == 503
    threading.Thread(target=lambda: [response.close() for response in responses]).start()
    stand_in.allowed = 99
    wait_for(lambda: post(address).status_code == 200)


def test_page_shows_cards_escaped_and_its_headers(stand_in: StandIn, folder: Path) -> None:
    card = Card(HOSTILE, corpus=HOSTILE, labels=[HOSTILE], held_out=HeldOut(0.5, 0.4, 0.6, 0.5, 64, 8, "held_out"))
    with (
        running_loop() as loop,
        served(stand_in, folder, loop=loop, choices=[Choice(HOSTILE, Path(), card)]) as address,
    ):
        response = requests.get(address, timeout=5)
        script = requests.get(f"{address}/demo.js", timeout=5)
    assert "<img" not in response.text and "&lt;img" in response.text
    assert NOT_FOR in response.text and "50.0 % (40.0–60.0) of 64 clips" in response.text
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    for answer in (response, script):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_shipped_model_is_never_chosen_by_itself(
    stand_in: StandIn, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # without a best model
    listed = choices([])
    assert [choice.name for choice in listed] == ["voice_emodb"] and listed[0].ships
    with running_loop() as loop, served(stand_in, folder, loop=loop, choices=listed) as address:
        assert '<option value="" selected>Choose a model' in requests.get(address, timeout=5).text
    model = tmp_path / "data/studio/best/model.safetensors"
    model.parent.mkdir(parents=True)
    model.touch()
    assert [choice.name for choice in choices([])] == ["best", "voice_emodb"]
    assert [choice.name for choice in choices([str(model), "voice_emodb"])] == [str(model), "voice_emodb"]


def test_bytes_that_are_no_request_print_nothing(address: str, caplog: pytest.LogCaptureFixture) -> None:
    port = urlsplit(address).port
    for sent in (
        b"junk\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert connection.makefile("rb").readline().split()[1:2] in ([b"400"], []), sent
    assert requests.get(address, timeout=20).status_code == 200
    assert not caplog.records


def test_browsers_leave_out_the_port_of_http() -> None:
    assert server.hosts(80) == {"127.0.0.1", "localhost", "127.0.0.1:80", "localhost:80"}
    assert server.hosts(8050) == {"127.0.0.1:8050", "localhost:8050"}
