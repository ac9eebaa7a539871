"""The loss that training lowers."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from cfnsr.models.types import Prediction
from cfnsr.training.settings import TrainingSettings


class Objective:
    """Negative log-likelihood, weighted by class and smoothed as the settings say.

    Computes what ``torch.nn.functional.cross_entropy`` does. Where a network defines ``scores``, these are used in
    place of its log-probabilities; they need not be a distribution.

    Args:
        settings: ``class_weights`` and ``label_smoothing`` are used.
        classes: class index of every training clip.
        count: number of classes.
        device: device of the predictions.

    Attributes:
        class_weights: weight of each class; None if all have the same weight.
    """

    def __init__(self, settings: TrainingSettings, classes: np.ndarray, count: int, device: torch.device) -> None:
        self._smoothing = settings.label_smoothing
        self.class_weights: Float[Tensor, " classes"] | None = None
        if settings.class_weights == "balanced":
            clips = np.bincount(classes, minlength=count)
            weights = np.divide(len(classes), np.count_nonzero(clips) * clips, out=np.zeros(count), where=clips > 0)
            self.class_weights = torch.tensor(weights, dtype=torch.float32, device=device)

    def __call__(self, network: nn.Module, prediction: Prediction, label: Int64[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Compute the mean loss of a batch in nats, each clip weighted by its class."""
        scores_of = getattr(network, "scores", None)
        scores = (prediction.fused if scores_of is None else scores_of(prediction)).float()
        loss = F.nll_loss(scores, label, self.class_weights)
        if not self._smoothing:
            return loss
        weights = torch.ones_like(scores[0]) if self.class_weights is None else self.class_weights
        uniform_loss = -(scores * weights).sum() / (scores.shape[1] * weights[label].sum())
        return (1 - self._smoothing) * loss + self._smoothing * uniform_loss

    def normaliser(self, label: Int64[Tensor, " batch"]) -> float:
        """Return what the mean over a batch divides by: its clips, or the sum of their classes' weights."""
        return float(len(label)) if self.class_weights is None else self.class_weights[label].sum().item()
