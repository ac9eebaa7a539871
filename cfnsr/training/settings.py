"""How a network is trained: the numbers of params.yaml, and the learning rate that follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    Attributes:
        epochs: passes over the training speakers' clips.
        batch_size: clips of a batch, over all processes.
        learning_rate, weight_decay: of Adam.
        precision: of the forward pass: ``fp32``, or ``bf16`` or ``fp16`` by autocast.
        compile: whether ``torch.compile`` is used.
        schedule: of the learning rate: ``constant``, as published, or ``cosine``, down to 0.
        warmup_epochs: epochs in which the learning rate rises from 0.
        clip_norm: largest norm of the gradient; 0 sets no bound.
        accumulate: batches whose gradients are added up for one step.
        class_weights: ``none``, or ``balanced``: each class has the same total weight, however many clips it has.
        label_smoothing: share of the target that is spread over all classes.
        patience: epochs without improvement after which training stops; 0 never stops it.
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
    def of(cls, training: dict[str, Any], shared: dict[str, Any], precision: str) -> TrainingSettings:
        """Join the row's own section of params.yaml with the keys of ``train`` that are settings.

        Args:
            training: ``epochs``, ``batch_size``, ``learning_rate`` and ``weight_decay`` of this network.
            shared: ``train`` of params.yaml.
            precision: what the device computes in, where params.yaml says ``auto``.
        """
        common = {field.name for field in fields(cls)} & set(shared) - {"precision"}
        return cls(**training, **{name: shared[name] for name in common}, precision=precision)

    def lr_scale(self, step: int, steps_per_epoch: int) -> float:
        """Compute the learning rate of a step as a share of ``learning_rate``.

        Cosine: Loshchilov and Hutter, arXiv:1608.03983, equation 5, without restarts.

        Args:
            step: counted from 0 over all epochs.
            steps_per_epoch: steps of one epoch.
        """
        warmup, total = self.warmup_epochs * steps_per_epoch, self.epochs * steps_per_epoch
        if step < warmup:
            return (step + 1) / warmup
        if self.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))
