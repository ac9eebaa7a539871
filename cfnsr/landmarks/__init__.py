"""Where the 68 facial landmarks of each frame come from, one file per source.

Each source offers ``read(path) -> Track``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
from jaxtyping import Float64

from cfnsr.errors import CfnsrError

POINTS = 68


@dataclass(frozen=True)
class Track:
    """The 68 iBUG landmarks of one clip, frame by frame.

    Attributes:
        points: x and y in pixels of the whole video frame.
        confidence: the tracker's own, 0 to 1, per frame.
        frame_rate_hz: frames a second.
    """

    points: Float64[np.ndarray, "frame 68 2"]
    confidence: Float64[np.ndarray, " frame"]
    frame_rate_hz: float


def files(folder: Path) -> list[Path]:
    """The landmark files of one speaker, in the order of their name.

    Raises:
        CfnsrError: there is none.
    """
    found = sorted(folder.glob("*.csv"))
    if not found:
        raise CfnsrError(folder, "holds no landmark file", "Run the download stage of this speaker again")
    return found


def names() -> list[str]:
    """The sources that ``crop.landmarks`` may name."""
    return sorted(module.name for module in iter_modules(__path__))


def read(source: str, path: Path) -> Track:
    """Read one clip's landmarks from ``path`` in the format of ``source``."""
    return import_module(f"{__name__}.{source}").read(path)
