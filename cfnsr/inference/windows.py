"""Windows over time: each is a clip, from which the pipeline's functions make the arrays that they make of clips."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.media import Timeline

_SHORTEST_S = 0.1  # of a window, and of a step
_REST = 0.5  # of a window: what is left at the end is a window of its own if it is longer
_ROUNDING_S = 1e-6


@dataclass(frozen=True)
class Window:
    """A stretch of a file.

    Attributes:
        clip: the same as a clip.
        start_s, end_s: in seconds from the file's first frame or sample.
        offset_s: start of the part that a network reads, in seconds from the start.
    """

    clip: Clip
    start_s: float
    end_s: float
    offset_s: float = 0.0


def end_of(timeline: Timeline) -> float:
    """Return when a file's picture ends, or its sound where there is no picture, in seconds."""
    return (float(timeline.times_s[0]) if timeline.pts else timeline.tracks[0][1]) + timeline.duration_s


@dataclass(frozen=True)
class Windowing:
    """How a file is cut into windows.

    Attributes:
        window_s: their length in seconds.
        every_s: from the start of one to the start of the next, in seconds.
        offset_s: see ``Window``.

    Raises:
        CfnsrError: one of them is too short.
    """

    window_s: float
    every_s: float
    offset_s: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("window", self.window_s), ("every", self.every_s)):
            if not _SHORTEST_S <= value < inf:
                raise CfnsrError(f"--{name}", f"is {value:g} seconds", f"Give {_SHORTEST_S} seconds or more")

    def over(self, path: Path, timeline: Timeline, face: str) -> list[Window]:
        """Return the windows of a file, in order of time.

        What is left at the end is a window if it is longer than half of one, or if it is all that there is.

        Args:
            path: the file.
            timeline: of the file.
            face: whose, one of ``cfnsr.corpora.clip.FACES``.
        """
        length_s = end_of(timeline)
        windows = []
        for number in range(int(length_s / self.every_s) + 1):
            start_s = round(number * self.every_s, 6)
            end_s = min(round(start_s + self.window_s, 6), length_s)
            if number and end_s - start_s < _REST * self.window_s:
                break
            # The last one has all that the file has: sound may end after the picture.
            clip_end_s = inf if end_s >= length_s - _ROUNDING_S else end_s
            clip = Clip(f"{path.name} at {start_s:g} s", path, "", "", start_s=start_s, end_s=clip_end_s, face=face)
            windows.append(Window(clip, start_s, end_s, self.offset_s))
        return windows
