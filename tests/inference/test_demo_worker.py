"""The process that reads recordings: what it refuses, what it answers, and that it can be ended."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cfnsr.errors import CfnsrError
from cfnsr.inference.card import shipped
from cfnsr.inference.demo import process
from cfnsr.inference.demo.check import check
from cfnsr.inference.demo.limits import Limits
from cfnsr.inference.demo.process import Worker
from tests.support.demo import Loop, running_loop
from tests.support.media import tone

LIMITS = Limits(max_mb=200, max_minutes=10)


def png(path: Path, side_px: int) -> Path:
    """Write a picture of a few kilobytes that fills gigabytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(3 * side_px + 1), 9)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


def large(path: Path, side_px: int) -> Path:
    """Write a black video of one frame."""
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width = stream.height = side_px
        stream.pix_fmt = "yuvj420p"
        frame = av.VideoFrame(side_px, side_px, "yuvj420p")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def lasting(path: Path, length_s: int) -> Path:
    """Write a file of a second of sound whose last packet is hours later."""
    rate_hz = 16000
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=rate_hz, layout="mono")
        for start_s in (0, length_s - 1):
            frame = av.AudioFrame.from_ndarray(np.ones((1, rate_hz), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = rate_hz, start_s * rate_hz
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: text(path, ""), "is empty"),
        (lambda path: text(path, "good morning\n" * 99), "neither a video nor a sound file"),
        (lambda path: png(path, 60_000), "neither a video nor a sound file"),
        (lambda path: text(path, "#EXTM3U\n#EXTINF:9,\nother.ts\n#EXT-X-ENDLIST\n"), "neither a video"),
        (lambda path: text(path, "ffconcat version 1.0\nfile other\n"), "neither a video"),
        (lambda path: large(path, 4_000), "4000 x 4000 pixels"),
        (lambda path: lasting(path, 36_000), "is 600.0 minutes long, and at most 10 are allowed"),
    ],
)
def test_what_would_take_too_much_is_refused_undecoded(make: Any, problem: str, tmp_path: Path) -> None:
    tone(tmp_path / "other", pitch_hz=200)
    with pytest.raises(CfnsrError, match=problem):
        check(make(tmp_path / "recording"), LIMITS)


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


@pytest.fixture(scope="module")
def worker(loop: Loop) -> Iterator[Worker]:
    worker = Worker("cpu", LIMITS, None)
    yield worker
    loop.run(worker.stop())


async def answers(running: AsyncGenerator[dict[str, Any], None]) -> list[dict[str, Any]]:
    return [answer async for answer in running]


def test_bad_file_is_one_line_without_its_path(worker: Worker, loop: Loop, tmp_path: Path) -> None:
    path = text(tmp_path / "recording", "text")
    (answer,) = loop.run(answers(worker.run(path, str(shipped()[0]), None)))
    assert answer["error"].startswith("recording: is neither a video")


def test_job_that_takes_too_much_ends(
    worker: Worker, loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tone(tmp_path / "recording", pitch_hz=200)
    running = loop.run(worker.start())
    monkeypatch.setattr(process, "_MAX_MEMORY", 1 << 20)
    (answer,) = loop.run(answers(worker.run(path, str(shipped()[0]), None)))
    assert "takes too much memory" in answer["error"] and running.returncode is not None
    monkeypatch.setattr(process, "_TO_LOAD_S", 0.0)
    (answer,) = loop.run(answers(worker.run(path, str(shipped()[0]), None)))
    assert "takes too long" in answer["error"]


def test_job_that_is_given_up_ends(worker: Worker, loop: Loop, tmp_path: Path) -> None:
    path = tone(tmp_path / "recording", pitch_hz=200)

    async def give_up() -> int | None:
        running = await worker.start()
        job = asyncio.ensure_future(answers(worker.run(path, str(shipped()[0]), None)))
        await asyncio.sleep(0.1)
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
        return running.returncode

    assert loop.run(give_up()) is not None
