"""What is read window after window: a file that stays open, so that it is decoded once, or arrays in place of a file.

While ``reading`` lasts, times, frames and sound of a path come from its source. So the functions that prepare clips
prepare windows of a long video too, with the same result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Source(Protocol):
    """What clips are read from; windows come in order of their start.

    Attributes:
        timeline: times of picture and sound, a ``cfnsr.preprocessing.media.Timeline``.
    """

    timeline: Any

    def frames(self, indices: list[int]) -> Iterator[Any]:
        """Yield the frames at ascending indices; see ``cfnsr.preprocessing.video.frames``."""
        ...

    def sound(self, stream: int, from_s: float) -> Iterator[tuple[float, Any]]:
        """Yield decoded sound, each frame with its time on the file's clock in seconds.

        Args:
            stream: its index.
            from_s: what ends before is left out.
        """
        ...


_sources: ContextVar[Mapping[Path, Source]] = ContextVar("sources")


def of(path: Path) -> Source | None:
    """Return the source of a path, if it is being read window after window."""
    return _sources.get({}).get(path)


def opened(path: Path) -> Source:
    """Return the source of a path that is being read window after window."""
    return _sources.get()[path]


@contextmanager
def reading(path: Path, source: Source) -> Iterator[None]:
    """Let times, frames and sound of a path come from a source while the context lasts."""
    token = _sources.set({**_sources.get({}), path: source})
    try:
        yield
    finally:
        _sources.reset(token)
