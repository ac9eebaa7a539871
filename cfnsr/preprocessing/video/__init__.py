"""Read evenly spaced RGB frames of a video, by one of two decoders; cut a square out of a frame.

A decoder is a file of this package that offers ``frames(path, pts, indices)``; the file's name is what
``extract.video.decoder`` in params.yaml may say.
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
    with open_media(path) as container:
        stream = video_stream(container, path)
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


def evenly_spaced(pts: tuple[int, ...], count: int) -> list[int]:
    """Return indices of the frames nearest to ``count`` moments, evenly spaced from the first frame to the last.

    Ascending; a frame is repeated where there are too few. Evenly in time and not by number, because a camera may
    change its frame rate.
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
    """Decode the frames at ``indices`` (ascending), one at a time, as RGB, upright as a player shows them.

    Args:
        path: the video.
        pts: the presentation time of every frame, from ``timeline``.
        indices: which frames; an index may repeat.
        decoder: a file of this package.

    Raises:
        CfnsrError: a frame cannot be decoded, or the decoder is not installed.
    """
    module = registry.load(__name__, decoder, where="extract.video.decoder", kind="decoder")
    return module.frames(path, pts, indices)


def crop(
    image: UInt8[np.ndarray, "height width 3"], box: Float64[np.ndarray, " 3"], side_px: int
) -> UInt8[np.ndarray, "side side 3"]:
    """Cut out a square (centre x, centre y, side; pixels), scaled to ``side_px``; past the edge, the edge repeats."""
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
    method = cv2.INTER_AREA if whole >= side_px else cv2.INTER_LINEAR
    return cv2.resize(square, (side_px, side_px), interpolation=method)


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Open a media file, and turn libav's errors about a bad one into one clear line."""
    try:
        # Absolute, because libav would take a file named "concat:..." for one of its protocols. With options for the
        # probe, which else decodes some ten frames that it then throws away: an mp4's header tells all we need.
        with av.open(str(path.absolute()), options={"threads": "1", "skip_frame": "all"}) as container:
            yield container
    except (av.error.FFmpegError, UnicodeError) as error:
        raise CfnsrError(
            path, f"not a readable media file ({getattr(error, 'strerror', error)})", "Fetch or record the clip again"
        ) from error


def video_stream(container: InputContainer, path: Path) -> av.VideoStream:
    """Return the first video stream.

    Raises:
        CfnsrError: there is none.
    """
    if not container.streams.video:
        raise CfnsrError(path, "has no video stream", "Remove the clip, or fetch it again")
    return container.streams.video[0]
