"""How a network is trained: all numbers of it, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from cfnsr.models.types import Prediction


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: passes over the training speakers.
        batch_size: clips at a time.
        learning_rate, weight_decay: of Adam.
        precision: of the forward pass: ``fp32``, or ``bf16`` or ``fp16`` by autocast.
        compile: with ``torch.compile``.
        schedule: of the learning rate: ``constant``, as published, or ``cosine``, down to 0.
        warmup_epochs: in which it rises from 0.
        clip_norm: largest norm of the gradient; 0 sets no bound.
        accumulate: batches whose gradients are joined to one step.
        class_weights: ``none``, or ``balanced``: each class counts alike, however many clips it has.
        label_smoothing: share of the target that is spread over all classes.
        patience: epochs without a better one that end the training; 0 never does.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    precision: str
    compile: bool
    schedule: str
    warmup_epochs: int
    clip_norm: float
    accumulate: int
    class_weights: str
    label_smoothing: float
    patience: int

    @classmethod
    def of(cls, training: dict[str, Any], shared: dict[str, Any], precision: str) -> Recipe:
        """From a row's own section of params.yaml, and of that which all share what stands here too."""
        common = {one.name for one in fields(cls)} & set(shared) - {"precision"}
        return cls(**training, **{key: shared[key] for key in common}, precision=precision)

    def rate(self, step: int, steps_an_epoch: int) -> float:
        """The learning rate of a step, as a share of ``learning_rate``.

        Cosine: Loshchilov and Hutter, arXiv:1608.03983, equation 5, without restarts.

        Args:
            step: from 0.
            steps_an_epoch: how many there are.
        """
        warmup, total = self.warmup_epochs * steps_an_epoch, self.epochs * steps_an_epoch
        if step < warmup:
            return (step + 1) / warmup
        if self.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


class Criterion:
    """What training lowers: the negative log-likelihood, weighted and smoothed as a recipe says.

    As ``torch.nn.functional.cross_entropy``, but of what a network calls its ``scores`` where it has one, which may
    be no distribution, and else of its log-probabilities.

    Args:
        recipe: its ``class_weights`` and ``label_smoothing``.
        classes: of every training clip.
        count: how many classes there are.
        device: where predictions are.
    """

    def __init__(self, recipe: Recipe, classes: np.ndarray, count: int, device: torch.device) -> None:
        self._smoothing = recipe.label_smoothing
        self._weights: Tensor | None = None
        if recipe.class_weights == "balanced":
            clips = np.bincount(classes, minlength=count)
            weights = np.divide(len(classes), np.count_nonzero(clips) * clips, out=np.zeros(count), where=clips > 0)
            self._weights = torch.tensor(weights, dtype=torch.float32, device=device)

    def __call__(self, network: nn.Module, prediction: Prediction, label: Int64[Tensor, " batch"]) -> Float[Tensor, ""]:
        """The mean over the batch, each clip with its class's weight, in nats."""
        evidence_of = getattr(network, "scores", None)
        scores = (prediction.fused if evidence_of is None else evidence_of(prediction)).float()
        loss = F.nll_loss(scores, label, self._weights)
        if not self._smoothing:
            return loss
        weights = torch.ones_like(scores[0]) if self._weights is None else self._weights
        spread = -(scores * weights).sum() / (scores.shape[1] * weights[label].sum())
        return (1 - self._smoothing) * loss + self._smoothing * spread

    def weight(self, label: Int64[Tensor, " batch"]) -> float:
        """What a batch counts beside others: its clips, or the sum of their classes' weights."""
        return float(len(label)) if self._weights is None else self._weights[label].sum().item()
