"""Windows of a recording. Each is a clip, so that the pipeline's functions prepare it like any clip."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.media import Timeline

_SHORTEST_S = 0.1  # least length of a window, and least step between windows
_REST = 0.5  # of a window's length: a shorter rest at the end is dropped
_ROUNDING_S = 1e-6


@dataclass(frozen=True)
class Window:
    """A part of a file.

    Attributes:
        clip: the part as a clip.
        start_s, end_s: in seconds from the file's first frame or sample.
        offset_s: start of what a network reads, in seconds from ``start_s``.
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
        window_s: length of a window in seconds.
        every_s: seconds from the start of one window to the start of the next.
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

        The rest at the end is a window if it is at least half as long as one, or if the file has no other window.

        Args:
            path: the file.
            timeline: of the file.
            face: which face to use, one of ``cfnsr.corpora.clip.FACES``.
        """
        length_s = end_of(timeline)
        windows = []
        for number in range(int(length_s / self.every_s) + 1):
            start_s = round(number * self.every_s, 6)
            end_s = min(round(start_s + self.window_s, 6), length_s)
            if number and end_s - start_s < _REST * self.window_s:
                break
            # The last window has no end, because sound may end after the picture.
            clip_end_s = inf if end_s >= length_s - _ROUNDING_S else end_s
            clip = Clip(f"{path.name} at {start_s:g} s", path, "", "", start_s=start_s, end_s=clip_end_s, face=face)
            windows.append(Window(clip, start_s, end_s, self.offset_s))
        return windows
