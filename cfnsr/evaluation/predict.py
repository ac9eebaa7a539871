"""Predict the emotions of clips with a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from cfnsr.data import dataset
from cfnsr.data.dataset import Clips
from cfnsr.evaluation.types import Attention, LogProbabilities
from cfnsr.models.types import Batch


@dataclass(frozen=True)
class Normalise:
    """Move a batch to the device, and bring its frames to zero mean and unit standard deviation, channels first.

    Attributes:
        mean, std: of each channel that the network reads, on the scale 0 to 255.
        order: of these channels: ``rgb``, as in the shards, or ``bgr``.
        device: of the network.
    """

    mean: list[float]
    std: list[float]
    order: str
    device: torch.device

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with frames, if it has any, of shape (batch, 3, time, height, width)."""
        batch = batch.to(self.device)
        if "frames" not in batch.arrays:
            return batch
        frames = batch["frames"]
        mean, std = (torch.tensor(values, device=self.device) for values in (self.mean, self.std))
        if self.order == "bgr":
            frames = frames.flip(-1)
        # Channels stay last in memory, the layout in which 3D convolutions are fastest.
        return batch.replace(frames=((frames - mean) / std).permute(0, 4, 1, 2, 3))


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode without gradients; restore its mode afterwards."""
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(training)


@dataclass(frozen=True)
class Predictor:
    """Predict clips with a network.

    Attributes:
        network: on the device of ``normalise``.
        normalise: moves each batch to the device and normalises its frames.
        batch_size: clips at a time.
    """

    network: nn.Module
    normalise: Normalise
    batch_size: int

    def batches(self, clips: Clips) -> Iterator[Batch]:
        """Yield the clips' normalised batches, in the order of their index."""
        return map(self.normalise, dataset.in_order(clips, self.batch_size))

    def predict(self, clips: Clips) -> LogProbabilities:
        """Return each clip's log-probabilities, in fp32."""
        with evaluation_mode(self.network):
            parts = [self.network(batch).fused.float().cpu().numpy() for batch in self.batches(clips)]
        return np.concatenate(parts) if parts else np.empty((0, len(clips.labels)), np.float32)

    def attention(self, clips: Clips) -> Attention | None:
        """Return where the network attends in each clip; None if it has no attention, or its options switch it off."""
        attend: Any = getattr(self.network, "attention", None)
        if attend is None:
            return None
        parts: list[np.ndarray] = []
        with evaluation_mode(self.network):
            for batch in self.batches(clips):
                weights = attend(batch)
                if weights is None:
                    return None
                parts.append(weights.float().cpu().numpy())
        return np.concatenate(parts)


def accuracy(predicted: LogProbabilities, classes: np.ndarray) -> float:
    """Return the share of clips whose most probable class is the true one."""
    return float((predicted.argmax(axis=1) == classes).mean())


@dataclass
class TestMonitor:
    """Test accuracy after each epoch, and the predictions of the best and of the last epoch.

    Training calls ``update`` and reads nothing back before it has ended: the test speakers cannot influence training or
    the selection of the epoch (docs/decisions/0002-held-out.md).

    Attributes:
        predictor: of the network in training.
        clips: of the test speakers.
        accuracies: after each epoch.
        best_epoch: the epoch with the best accuracy, from 1; the first of equals.
        best, last: predictions after that epoch and after the last.
    """

    predictor: Predictor
    clips: Clips
    accuracies: list[float] = field(default_factory=list)
    best_epoch: int = 0
    best: LogProbabilities | None = None
    last: LogProbabilities | None = None

    def update(self) -> None:
        """Predict the test clips after an epoch."""
        self.last = self.predictor.predict(self.clips)
        score = accuracy(self.last, self.clips.classes)
        if not self.accuracies or score > max(self.accuracies):
            self.best, self.best_epoch = self.last, len(self.accuracies) + 1
        self.accuracies.append(score)

    def state_dict(self) -> dict[str, Any]:
        """Return the state after the last epoch, for resuming; predictions are tensors."""
        predictions = {"best": self.best, "last": self.last}
        tensors = {name: None if value is None else torch.from_numpy(value) for name, value in predictions.items()}
        return {"accuracies": list(self.accuracies), "best_epoch": self.best_epoch, **tensors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        self.accuracies, self.best_epoch = list(state["accuracies"]), state["best_epoch"]
        self.best, self.last = (None if state[name] is None else state[name].numpy() for name in ("best", "last"))
