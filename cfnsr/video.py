"""mp4 -> evenly spaced RGB frames, decoding only what they need; RGB frame -> square face crop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import cv2
import numpy as np
from av.container import InputContainer
from jaxtyping import Float64, UInt8

from cfnsr.errors import CfnsrError


@dataclass(frozen=True)
class Timeline:
    """When each frame of a video is shown.

    Attributes:
        pts: presentation times in the stream's own ticks, ascending; one per frame.
        frame_rate_hz: average frames a second.
        duration_s: length of the video stream in seconds.
    """

    pts: tuple[int, ...]
    frame_rate_hz: float
    duration_s: float


def timeline(path: Path) -> Timeline:
    """Read the times of all frames from the packets' headers; nothing is decoded.

    Raises:
        CfnsrError: the file cannot be read, or holds no video.
    """
    with opened(path) as container:
        stream = _video_stream(container, path)
        # Of a packet its time alone is kept: all packets together are the whole file.
        pts = sorted(
            {packet.pts for packet in container.demux(stream) if packet.pts is not None and not packet.is_discard}
        )
        if not pts or stream.time_base is None:
            raise CfnsrError(path, "the video stream is empty", "Fetch or record the clip again")
        tick_s = float(stream.time_base)
    span_s = (pts[-1] - pts[0]) * tick_s
    last_s = span_s / (len(pts) - 1) if len(pts) > 1 else tick_s
    return Timeline(tuple(pts), frame_rate_hz=1 / last_s, duration_s=span_s + last_s)


def evenly_spaced(available: int, wanted: int) -> list[int]:
    """Indices of ``wanted`` frames from the first to the last of ``available``; repeated where there are too few."""
    return np.linspace(0, available - 1, wanted).round().astype(int).tolist()


def frames(path: Path, pts: tuple[int, ...], indices: list[int]) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Decode the frames at ``indices`` (ascending), one at a time, as RGB.

    The decoder is told packet by packet what is wanted: for the rest it drops every frame that no other
    refers to, which saves a third of the work on H.264 with B-frames and changes no pixel.

    Args:
        path: the video.
        pts: the presentation time of every frame, from ``timeline``.
        indices: which frames; an index may repeat.

    Raises:
        CfnsrError: a frame cannot be decoded.
    """
    wanted = [pts[index] for index in indices]
    found = _decode(path, frozenset(wanted))
    shown: int | None = None
    image = np.empty((0, 0, 3), np.uint8)
    for moment in wanted:
        while shown != moment:
            try:
                shown, image = next(found)
            except StopIteration:
                raise CfnsrError(
                    path,
                    f"the frame at tick {moment} cannot be decoded (is the file cut short?)",
                    "Fetch or record the clip again",
                ) from None
        yield image


def _decode(path: Path, wanted: frozenset[int]) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"]]]:
    with opened(path) as container:
        stream = _video_stream(container, path)
        # Threads of its own would make the decoder ignore skip_frame; clips run side by side instead.
        stream.thread_type = "NONE"
        for packet in container.demux(stream):
            stream.codec_context.skip_frame = "DEFAULT" if packet.pts is None or packet.pts in wanted else "NONREF"
            for frame in packet.decode():
                if frame.pts in wanted:
                    yield frame.pts, frame.to_ndarray(format="rgb24")


def crop(
    image: UInt8[np.ndarray, "height width 3"], box: Float64[np.ndarray, " 3"], size: int
) -> UInt8[np.ndarray, "size size 3"]:
    """Cut the square (centre x, centre y, side; pixels), scaled to ``size``; past the picture, the edge repeats."""
    x, y, side = box
    whole = max(round(side), 1)
    left, top = round(x - whole / 2), round(y - whole / 2)
    height, width = image.shape[:2]
    if left >= 0 and top >= 0 and left + whole <= width and top + whole <= height:
        square = image[top : top + whole, left : left + whole]
    else:
        rows = np.clip(np.arange(top, top + whole), 0, height - 1)
        columns = np.clip(np.arange(left, left + whole), 0, width - 1)
        square = image[rows[:, None], columns]
    # Area averaging is the one that does not alias when shrinking; it does nothing useful when enlarging.
    kind = cv2.INTER_AREA if whole >= size else cv2.INTER_LINEAR
    return cv2.resize(square, (size, size), interpolation=kind)


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """Open a media file, and turn what libav says of a bad one into one clear line."""
    try:
        with av.open(str(path)) as container:
            yield container
    except av.error.FFmpegError as error:
        raise CfnsrError(
            path, f"not a readable media file ({error.strerror})", "Fetch or record the clip again"
        ) from error


def _video_stream(container: InputContainer, path: Path) -> av.VideoStream:
    if not container.streams.video:
        raise CfnsrError(path, "has no video stream", "Remove the clip, or fetch it again")
    return container.streams.video[0]
