"""Read evenly spaced RGB frames of a video with one of two decoders; crop a square from a frame.

A decoder is a file of this package with a function ``frames(path, pts, indices)``. ``extract.video.decoder`` in
params.yaml gives the file's name.
"""

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
from cfnsr.runtime import registry


@dataclass(frozen=True)
class Timeline:
    """The time at which each frame of a video is shown.

    Attributes:
        pts: presentation times in the stream's own ticks, one a frame, ascending.
        frame_rate_hz: average frames a second.
        duration_s: length of the video stream in seconds.
    """

    pts: tuple[int, ...]
    frame_rate_hz: float
    duration_s: float


def timeline(path: Path) -> Timeline:
    """Read the times of all frames from the packets' headers, without decoding.

    Raises:
        CfnsrError: the file cannot be read, or has no video.
    """
    with open_media(path) as container:
        stream = video_stream(container, path)
        # Keep only the packets' times: all packets together are as large as the file.
        pts = sorted(
            {packet.pts for packet in container.demux(stream) if packet.pts is not None and not packet.is_discard}
        )
        if not pts or stream.time_base is None:
            raise CfnsrError(path, "the video stream is empty", "Fetch or record the clip again")
        tick_s = float(stream.time_base)
    span_s = (pts[-1] - pts[0]) * tick_s
    last_s = span_s / (len(pts) - 1) if len(pts) > 1 else tick_s
    return Timeline(tuple(pts), frame_rate_hz=1 / last_s, duration_s=span_s + last_s)


def evenly_spaced(pts: tuple[int, ...], count: int) -> list[int]:
    """Return the ascending indices of the frames nearest to ``count`` evenly spaced times, from first to last.

    With too few frames, some are repeated. Times and not indices are evenly spaced, because a camera may change its
    frame rate.
    """
    moments = np.linspace(pts[0], pts[-1], count)
    halfway = np.add(pts[1:], pts[:-1]) / 2
    return np.searchsorted(halfway, moments).tolist()


def names() -> list[str]:
    """List the decoders that ``extract.video.decoder`` may name."""
    return registry.names(__name__)


def frames(
    path: Path, pts: tuple[int, ...], indices: list[int], *, decoder: str
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Decode the frames at ``indices``, one at a time, as RGB, upright as a player shows them.

    Args:
        path: the video.
        pts: the presentation time of every frame, from ``timeline``.
        indices: of the frames, ascending; an index may repeat.
        decoder: a file of this package.

    Raises:
        CfnsrError: a frame cannot be decoded, or the decoder is not installed.
    """
    module = registry.load(__name__, decoder, where="extract.video.decoder", kind="decoder")
    return module.frames(path, pts, indices)


def crop(
    image: UInt8[np.ndarray, "height width 3"], box: Float64[np.ndarray, " 3"], side_px: int
) -> UInt8[np.ndarray, "side side 3"]:
    """Crop a square (centre x, centre y, side; pixels), scaled to ``side_px``; outside the image its edge repeats."""
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
    # Area averaging does not alias when it shrinks; it does nothing useful when it enlarges.
    method = cv2.INTER_AREA if whole >= side_px else cv2.INTER_LINEAR
    return cv2.resize(square, (side_px, side_px), interpolation=method)


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Open a media file.

    Raises:
        CfnsrError: libav cannot read it, now or within the ``with``.
    """
    try:
        # The path is absolute because libav would read a file named "concat:..." as one of its protocols. The options
        # keep libav from decoding some ten frames to probe the file: an mp4's header has all that is needed.
        with av.open(str(path.absolute()), options={"threads": "1", "skip_frame": "all"}) as container:
            yield container
    except (av.error.FFmpegError, UnicodeError) as error:
        problem = f"is not a readable media file ({getattr(error, 'strerror', error)})"
        raise CfnsrError(path, problem, "Fetch or record the clip again") from error


def video_stream(container: InputContainer, path: Path) -> av.VideoStream:
    """Return the first video stream.

    Raises:
        CfnsrError: there is none.
    """
    if not container.streams.video:
        raise CfnsrError(path, "has no video stream", "Remove the clip, or fetch it again")
    return container.streams.video[0]
