"""Read chosen frames of a video with one of two decoders.

A decoder is a file of this package with a function ``frames(path, timeline, indices)``. ``extract.video.decoder`` in
params.yaml gives the file's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.display import Frame
from cfnsr.preprocessing.media import Timeline
from cfnsr.runtime import registry, sources


def names() -> list[str]:
    """List the decoders that ``extract.video.decoder`` may name."""
    return registry.names(__name__)


def frames(
    path: Path, timeline: Timeline, indices: list[int], *, decoder: str, deblock: bool = True
) -> Iterator[Frame]:
    """Decode the frames at ``indices``, one at a time.

    Args:
        path: the video.
        timeline: of the video.
        indices: of the frames, ascending; an index may repeat.
        decoder: a file of this package.
        deblock: whether block edges are filtered as the file's format says; only ``pyav`` can leave it out.

    Raises:
        CfnsrError: a frame cannot be decoded, or the decoder is not installed.
    """
    source = sources.of(path)
    if source is not None:
        return source.frames(indices)
    module = registry.load(__name__, decoder, where="extract.video.decoder", kind="decoder")
    return module.frames(path, timeline, indices, **({} if deblock else {"deblock": False}))


def of_clip(clip: Clip, timeline: Timeline) -> slice:
    """Return which frames of its file a clip has.

    Raises:
        CfnsrError: it has none.
    """
    first, end = np.searchsorted(timeline.times_s.round(6), [clip.start_s, clip.end_s]).tolist()
    if first == end:
        problem = f"has no frame from {clip.start_s} s to {clip.end_s} s, which is the clip {clip.id}"
        raise CfnsrError(clip.path, problem, "Correct start_s and end_s in the labels file, or remove the row")
    return slice(first, end)


def evenly_spaced(
    times_s: Float64[np.ndarray, " frame"], count: int, *, offset_s: float = 0.0, window_s: float = np.inf
) -> list[int]:
    """Return the ascending indices of the frames nearest to ``count`` evenly spaced times of a window.

    With too few frames, some are repeated. Times and not indices are evenly spaced, because a camera may change its
    frame rate.

    Args:
        times_s: of the frames, ascending, in seconds.
        count: of indices.
        offset_s: start of the window in seconds; a clip that is shorter gives its last frame.
        window_s: length of the window in seconds; it ends with the clip.
    """
    first, last = np.clip([offset_s, offset_s + window_s], times_s[0], times_s[-1])
    halfway = (times_s[1:] + times_s[:-1]) / 2
    # Rounded, so that the same clip in another container gives the same frames where two are equally near.
    return np.searchsorted(halfway.round(6), np.linspace(first, last, count).round(6)).tolist()
