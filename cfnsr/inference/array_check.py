"""Check the arrays of a recording in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cfnsr.errors import CfnsrError

if TYPE_CHECKING:
    from cfnsr.inference.recordings import Recording


def check(recording: Recording) -> None:
    """Check arrays and rates: of other values the answer would be wrong, and nothing would say so.

    Raises:
        CfnsrError: they are of another type or shape, or not finite.
    """
    frames, samples = recording.frames, recording.samples
    problem, remedy = "", "Give uint8 RGB, the frame first"
    if frames is not None:
        shape = np.shape(frames)
        if getattr(frames, "dtype", None) != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape[1:]:
            problem = f"its frames are {getattr(frames, 'dtype', type(frames).__name__)} of shape {shape}"
        elif not 0 < recording.frame_rate_hz < np.inf:
            problem, remedy = f"has {recording.frame_rate_hz} frames a second", "Give a positive number"
    if samples is not None and not problem:
        is_float = np.issubdtype(getattr(samples, "dtype", np.object_), np.floating)
        if not is_float or np.ndim(samples) != 1 or not np.isfinite(samples).all():
            problem = (
                f"its samples are {getattr(samples, 'dtype', type(samples).__name__)} of shape {np.shape(samples)}"
            )
            problem, remedy = f"{problem}, or not finite", "Give float32 of one channel, -1 to 1"
        elif not (isinstance(recording.rate_hz, (int, np.integer)) and recording.rate_hz > 0):
            problem, remedy = f"its sampling rate is {recording.rate_hz}", "Give a positive whole number"
    if problem:
        raise CfnsrError(recording.name, problem, remedy)
