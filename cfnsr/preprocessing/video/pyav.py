"""Decode with PyAV, only the frames that are needed and those that they depend on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.video import open_media, video_stream

_REMEDY = "Fetch or record the clip again"


def frames(path: Path, pts: tuple[int, ...], indices: list[int]) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Decode frames; see ``cfnsr.preprocessing.video.frames``.

    Before each packet the decoder is set to drop frames that are neither needed nor referred to by others. This saves
    a quarter of the work on H.264 with B-frames and changes no pixel.
    """
    moments = [pts[index] for index in indices]
    decoded = decode(path, frozenset(moments))
    shown: int | None = None
    image = np.empty((0, 0, 3), np.uint8)
    for moment in moments:
        while shown != moment:
            frame = next(decoded, None)
            if frame is None or (frame.pts == moment and frame.is_corrupt):
                problem = f"the frame at tick {moment} cannot be decoded (is the file cut short?)"
                raise CfnsrError(path, problem, _REMEDY)
            if frame.pts == moment:
                shown, image = moment, _upright(frame, path)
        yield image


def decode(path: Path, needed: frozenset[int]) -> Iterator[av.VideoFrame]:
    """Yield the frames at the times ``needed``, and the others that had to be decoded."""
    with open_media(path) as container:
        stream = video_stream(container, path)
        # With several threads the decoder would ignore skip_frame; clips are decoded in parallel instead.
        stream.thread_type = "NONE"
        for packet in container.demux(stream):
            stream.codec_context.skip_frame = "DEFAULT" if packet.pts is None or packet.pts in needed else "NONREF"
            yield from packet.decode()


def _upright(frame: av.VideoFrame, path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """Convert to RGB and rotate by the file's display matrix: telephones store rotated frames."""
    quarters = round(frame.rotation / 90)
    if abs(frame.rotation - 90 * quarters) > 1:  # libav rounds it down
        problem = f"is rotated by {frame.rotation} degrees"
        raise CfnsrError(path, problem, "Convert it: only quarter turns can be undone")
    return np.rot90(frame.to_ndarray(format="rgb24"), quarters)
