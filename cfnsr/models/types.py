"""The input and the output of every network: a batch of clips, and its predictions.

No ``from __future__ import annotations``: jaxtyping's check in tests cannot resolve a ``NamedTuple``'s later.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

MODALITIES = ("video", "audio")


@dataclass(frozen=True)
class Batch:
    """A batch of clips.

    Networks take normalised frames: ``Float[Tensor, "batch 3 time height width"]``. Data loaders give them as they are
    stored in the shards: ``UInt8[Tensor, "batch time height width 3"]``.

    Attributes:
        arrays: by array name (``frames``, ``mel``, ``mfcc``, ...); the first dimension is the clip.
        label: index into the corpus's labels.
    """

    arrays: dict[str, Tensor]
    label: Int64[Tensor, " batch"]

    def __getitem__(self, name: str) -> Tensor:
        return self.arrays[name]

    def __len__(self) -> int:
        return len(self.label)

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        arrays = {name: array.to(device, non_blocking=True) for name, array in self.arrays.items()}
        return Batch(arrays, self.label.to(device, non_blocking=True))

    def replace(self, **arrays: Tensor) -> "Batch":
        """Return a batch in which the named arrays are replaced."""
        return replace(self, arrays={**self.arrays, **arrays})


# So that torch.export and torch.compile can look into a batch.
torch.export.register_dataclass(Batch)


class Prediction(NamedTuple):
    """Log-probabilities of each class.

    Attributes:
        fused: of the whole network.
        video, audio: of each modality's own head, where the network has them.
    """

    fused: Float[Tensor, "batch classes"]
    video: Float[Tensor, "batch classes"] | None = None
    audio: Float[Tensor, "batch classes"] | None = None
