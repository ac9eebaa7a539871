"""Decode with decord, an extra, which checks the other decoder independently.

decord counts frames where the file has times. It gives other frames than players in MPEG-PS, MPEG-TS, AVI and WMV, so
only files are accepted in which its frames have the same times as the timeline.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.display import Frame
from cfnsr.preprocessing.media import Timeline
from cfnsr.preprocessing.video import pyav

_REMEDY = "Set extract.video.decoder to pyav"
_DIFFERENCE = 8.0  # mean of all pixels, 0 to 255, above which two decoders show different pictures


def frames(path: Path, timeline: Timeline, indices: list[int]) -> Iterator[Frame]:
    """Decode frames; see ``cfnsr.preprocessing.video.frames``."""
    try:
        import decord
    except ImportError as error:
        problem = "decord is not installed (it is only for Linux and Windows on x86-64)"
        remedy = "Run `pip install 'cfnsr[decord]'`, or set it to pyav"
        raise CfnsrError("extract.video.decoder", problem, remedy) from error
    try:
        reader = decord.VideoReader(str(path.absolute()), ctx=decord.cpu(0), num_threads=1)
        _check_times(path, timeline, reader)
        first = next(pyav.frames(path, timeline, indices[:1])).image
        for index in indices:
            image = reader[index].asnumpy()
            if index == indices[0] and (
                image.shape != first.shape or np.abs(image.astype(int) - first).mean() > _DIFFERENCE
            ):
                raise CfnsrError(path, "decord shows another picture than players do", _REMEDY)
            yield Frame.of(image)
    except (decord.DECORDError, RuntimeError, UnicodeError) as error:
        problem = f"decord cannot decode it ({str(error).splitlines()[0]})"
        raise CfnsrError(path, problem, "Fetch the clip again, or use pyav") from error


def _check_times(path: Path, timeline: Timeline, reader: Any) -> None:
    if len(reader) != len(timeline.pts):
        problem = f"decord finds {len(reader)} frames where there are {len(timeline.pts)}"
        raise CfnsrError(path, problem, _REMEDY)
    starts_s = reader.get_frame_timestamp(range(len(reader)))[:, 0]
    apart_s = np.abs((starts_s - starts_s[0]) - (timeline.times_s - timeline.times_s[0])).max()
    if timeline.counted or apart_s > 0.5 / timeline.frame_rate_hz:
        raise CfnsrError(path, "decord gives its frames other times than players do", _REMEDY)
