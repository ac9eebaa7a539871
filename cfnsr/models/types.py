"""The values that travel along the line once torch is loaded: a batch in, a prediction out.

Apart from ``types`` so that the stages before training start without torch (three seconds each).
Annotations are evaluated here, as those of a ``NamedTuple`` lose sight of the module they stand in.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64, Num
from torch import Tensor


class Batch(NamedTuple):
    """Clips side by side, as they lie in the shards.

    Attributes:
        frames: RGB, 0 to 255; uint8 but where augmentation has computed new values.
        mel: log-mel in dB.
        mfcc: mel-frequency cepstral coefficients.
        label: index into the corpus's labels.
    """

    frames: Num[Tensor, "batch time height width 3"]
    mel: Float[Tensor, "batch mel step"]
    mfcc: Float[Tensor, "batch coef step"]
    label: Int64[Tensor, " batch"]

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return Batch(*(value.to(device, non_blocking=True) for value in self))


class Share(NamedTuple):
    """One process's part of a training batch; where one process learns alone, all of it.

    Attributes:
        clips: its own.
        whole: the labels of the whole batch.
        idle: there were too few clips for all: these are another process's, and are not to count.
    """

    clips: Batch
    whole: Int64[Tensor, " whole"]
    idle: bool


class Prediction(NamedTuple):
    """Log-probabilities of each class: the system's own and, where it has them, each modality's alone."""

    fused: Float[Tensor, "batch classes"]
    video: Float[Tensor, "batch classes"] | None = None
    audio: Float[Tensor, "batch classes"] | None = None
