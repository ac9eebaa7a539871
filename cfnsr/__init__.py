"""Speech-and-face emotion recognition: a DVC pipeline over a small PyTorch library."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cfnsr.inference.model import Model

__version__ = "0.1.0"
STARTED_S = time.monotonic()  # of a stage's process; by a clock that nobody sets, before torch is imported


def load(name: str | Path, *, device: str = "auto") -> Model:
    """Load a trained model; see ``cfnsr.inference.load``.

    Example: ``cfnsr.load("best").predict("clip.mp4")`` returns a table of one row a window.
    """
    # By its name: importing cfnsr stays cheap, and no module of the pipeline depends on the package inference by it.
    return import_module("cfnsr.inference").load(name, device=device)
