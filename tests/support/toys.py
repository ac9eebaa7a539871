"""Toy networks as source text, each one file, and a way to add such a file to a package for one test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Three stages, and a pooling that keeps four cells: dim is not the last stage's channels.
VIDEO_ENCODER = '''
"""A toy video encoder: three convolutions."""

from collections.abc import Sequence

from torch import nn

from cfnsr.models import encoders
from cfnsr.models.publication import Publication


class Encoder(encoders.Encoder):
    """Frames -> logits."""

    reads = "frames"
    publication = Publication(fusion="none")

    def __init__(self, classes: int, shape: Sequence[int], *, width: int) -> None:
        super().__init__()
        self.channels = [width, 2 * width, 3 * width]
        self.stages = nn.Sequential(
            nn.Sequential(nn.Conv3d(3, width, 3, stride=4, padding=1), nn.ReLU()),
            nn.Sequential(nn.Conv3d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU()),
            nn.Sequential(nn.Conv3d(2 * width, 3 * width, 3, padding=1), nn.ReLU()),
        )
        self.dim = 4 * self.channels[-1]
        pool = nn.Sequential(nn.AdaptiveAvgPool3d((1, 2, 2)), nn.Flatten())
        self.head = nn.Sequential(pool, nn.Linear(self.dim, classes))
'''

# Reads an array that no network of cfnsr reads: the sound's energy, Float[Tensor, "batch step"].
ENERGY_SYSTEM = '''
"""A toy system on a second audio feature; neither encoder is used."""

from typing import ClassVar

from torch import nn

from cfnsr.models.encoders import Encoder
from cfnsr.models.publication import Publication
from cfnsr.models.types import Batch, Prediction


class Fusion(nn.Module):
    """Energy -> prediction."""

    publication = Publication(fusion="none")
    trains = True
    modality_modules: ClassVar = {"audio": ("features",)}

    def __init__(self, video: Encoder, audio: Encoder, classes: int, *, width: int) -> None:
        super().__init__()
        pool = nn.Sequential(nn.AdaptiveAvgPool1d(4), nn.Flatten())
        self.features = nn.Sequential(nn.Conv1d(1, width, 5, padding=2), nn.ReLU(), pool)
        self.classifier = nn.Linear(4 * width, classes)

    def forward(self, batch: Batch) -> Prediction:
        """Predict from the energy."""
        return Prediction(self.classifier(self.features(batch["energy"][:, None])).log_softmax(dim=1))
'''


@contextmanager
def added(package: str, name: str, source: str, folder: Path) -> Iterator[None]:
    """Add one file to a package, as if it lay in the package's folder.

    Args:
        package: dotted name.
        name: the file's, without ``.py``.
        source: its text.
        folder: where it is written.
    """
    (folder / f"{name}.py").write_text(source)
    path = importlib.import_module(package).__path__
    path.append(str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        path.remove(str(folder))
        sys.modules.pop(f"{package}.{name}", None)
