"""A network and clips -> what it predicts of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import DataLoader

from cfnsr.data import dataset
from cfnsr.models.types import Batch

LogProbabilities = Float[np.ndarray, "clip classes"]
Attention = Float[np.ndarray, "clip moment row column"]


@dataclass(frozen=True)
class Normalise:
    """Moves a batch to the device and brings its frames to zero mean and unit deviation.

    Attributes:
        mean, deviation: per channel of what the network takes, on the scale 0 to 255.
        order: of these channels: ``rgb``, as the shards have them, or ``bgr``.
        device: where the network is.
    """

    mean: list[float]
    deviation: list[float]
    order: str
    device: torch.device

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        frames, mel, mfcc, label = batch.to(self.device)
        mean, deviation = (torch.tensor(values, device=self.device) for values in (self.mean, self.deviation))
        if self.order == "bgr":
            frames = frames.flip(-1)
        return dataset.normalised(frames, mean, deviation), mel, mfcc, label


def predict(network: nn.Module, batches: DataLoader[Batch], prepare: Normalise) -> LogProbabilities:
    """Log-probabilities of every clip, in fp32, the network in evaluation mode; its mode is restored after."""
    training = network.training
    network.eval()
    with torch.inference_mode():
        parts = [network(*prepare(batch)[:3]).fused.float().cpu().numpy() for batch in batches]
    network.train(training)
    return np.concatenate(parts)


def attention(network: nn.Module, batches: DataLoader[Batch], prepare: Normalise) -> Attention | None:
    """Where a network looks in every clip, in evaluation mode; none where it has no ``attention``, or it is off."""
    attend: Any = getattr(network, "attention", None)
    if attend is None:
        return None
    training = network.training
    network.eval()
    with torch.inference_mode():
        parts = [attend(*prepare(batch)[:3]) for batch in batches]
    network.train(training)
    return None if parts[0] is None else torch.cat(parts).cpu().numpy()


def accuracy(predicted: LogProbabilities, classes: np.ndarray) -> float:
    """Share of clips whose most probable class is the true one."""
    return float((predicted.argmax(axis=1) == classes).mean())


@dataclass
class TestMonitor:
    """Watches the test speakers, epoch by epoch, for the optimism gap.

    Training calls it and gets nothing back, so nothing it sees can steer a choice (docs/decisions/0002-held-out.md).

    Attributes:
        accuracies: of the test set after each epoch.
        best_epoch: the epoch, from 1, with the best of them; the first of equals.
        best, last: the predictions after that epoch and after the last.
    """

    look: Callable[[nn.Module], LogProbabilities]
    classes: np.ndarray
    accuracies: list[float] = field(default_factory=list)
    best_epoch: int = 0
    best: LogProbabilities | None = None
    last: LogProbabilities | None = None

    def __call__(self, network: nn.Module) -> None:
        self.last = self.look(network)
        score = accuracy(self.last, self.classes)
        if not self.accuracies or score > max(self.accuracies):
            self.best, self.best_epoch = self.last, len(self.accuracies) + 1
        self.accuracies.append(score)

    def state_dict(self) -> dict[str, Any]:
        """What it has seen so far, of torch's types."""
        seen = {
            name: torch.from_numpy(value) for name in ("best", "last") if (value := getattr(self, name)) is not None
        }
        return {"accuracies": list(self.accuracies), "best_epoch": self.best_epoch, **seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on watching where ``state_dict`` was taken."""
        self.accuracies, self.best_epoch = list(state["accuracies"]), state["best_epoch"]
        self.best, self.last = state["best"].numpy(), state["last_epoch"].numpy()


def table(index: pd.DataFrame, labels: list[str], choices: dict[str, LogProbabilities]) -> pd.DataFrame:
    """Predictions as a table: one row for each clip and each way of selection_split the epoch.

    Args:
        index: the clips, as in the shard's index.
        labels: the emotions in the order of their class index.
        choices: by name (``selected``, ``last_epoch``, ``best_test_epoch``) the log-probabilities of the index's clips.

    Returns:
        Columns ``choice, clip, actor, label, predicted`` and a probability ``p_<label>`` for each emotion.
    """
    parts = []
    for choice, log_probabilities in choices.items():
        part = index[["clip", "actor", "label"]].copy()
        part.insert(0, "choice", choice)
        part["predicted"] = [labels[best] for best in log_probabilities.argmax(axis=1)]
        probabilities = np.exp(log_probabilities.astype(np.float64))
        part[[f"p_{label}" for label in labels]] = probabilities
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def untable(predictions: pd.DataFrame, labels: list[str], choice: str) -> LogProbabilities:
    """The log-probabilities of one choice, back from ``table``."""
    rows = predictions.loc[predictions["choice"] == choice, [f"p_{label}" for label in labels]]
    return np.log(np.asarray(rows))
