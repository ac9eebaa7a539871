"""The training loop, and only here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import nn

from cfnsr.errors import CfnsrError
from cfnsr.evaluation.predict import LogProbabilities, accuracy
from cfnsr.training.lesson import Lesson


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch.

    Attributes:
        number: from 1.
        train_loss: mean over the epoch's clips of what was lowered, nats.
        validation_loss: negative log-likelihood of the speakers who choose the epoch, nats.
        validation_accuracy: share of their clips that is right.
    """

    number: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class Validation:
    """How an epoch is judged: the validation speakers' predictions and their true classes."""

    look: Callable[[nn.Module], LogProbabilities]
    classes: np.ndarray


@runtime_checkable
class TestMonitor(Protocol):
    """Is shown the network after each epoch and gives nothing back that training would see."""

    def __call__(self, network: nn.Module) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@runtime_checkable
class Saved(Protocol):
    """Keeps a training's state across kills."""

    def load(self) -> dict[str, Any] | None: ...

    def save(self, state: dict[str, Any]) -> None: ...


def fit(
    lesson: Lesson,
    validation: Validation,
    *,
    epochs: int,
    patience: int,
    test_monitor: TestMonitor,
    report: Callable[[Epoch], None],
    saved: Saved,
) -> list[int]:
    """Train, and leave the network with the weights of the epoch that validates best.

    The best has the highest validation accuracy; of equals, the lowest validation loss.

    Args:
        lesson: what to train and how.
        validation: of the validation speakers; alone decides which epoch is kept.
        epochs: at most so many.
        patience: epochs without a better one that end it; 0 never does.
        test_monitor: is shown the network after each epoch.
        report: is told each epoch's figures; after a kill those of earlier epochs again.
        saved: where the training stands is kept after each epoch; what it holds of a killed run is gone on from.

    Returns:
        The number of the epoch kept, from 1, and of the last.

    Raises:
        CfnsrError: the loss is no longer a number.
    """
    history, kept, best = _resumed(lesson, test_monitor, saved)
    for epoch in history:
        report(epoch)
    while len(history) < epochs and not (patience and history and len(history) - kept >= patience):
        train_loss = lesson.epoch()
        predicted = validation.look(lesson.network)
        loss = _likelihood_loss(predicted, validation.classes)
        epoch = Epoch(len(history) + 1, train_loss, loss, accuracy(predicted, validation.classes))
        if not math.isfinite(epoch.train_loss + epoch.validation_loss):
            raise CfnsrError(
                f"epoch {epoch.number}",
                f"the loss is not a number (training {epoch.train_loss}, validation {epoch.validation_loss})",
                "Set train.precision to fp32, or lower the learning rate",
            )
        history.append(epoch)
        if not kept or _rank(epoch) > _rank(history[kept - 1]):
            kept, best = epoch.number, {name: value.clone() for name, value in lesson.network.state_dict().items()}
        test_monitor(lesson.network)
        saved.save(
            {
                "lesson": lesson.state_dict(),
                "test_monitor": test_monitor.state_dict(),
                "history": [asdict(one) for one in history],
                "kept": kept,
                "best": best,
            }
        )
        report(epoch)
    lesson.network.load_state_dict(best)
    return [kept, len(history)]


def _resumed(
    lesson: Lesson, test_monitor: TestMonitor, saved: Saved
) -> tuple[list[Epoch], int, dict[str, torch.Tensor]]:
    state = saved.load()
    if state is None:
        return [], 0, {}
    lesson.load_state_dict(state["lesson"])
    test_monitor.load_state_dict(state["test_monitor"])
    return [Epoch(**one) for one in state["history"]], state["kept"], state["best"]


def _rank(epoch: Epoch) -> tuple[float, float]:
    return epoch.validation_accuracy, -epoch.validation_loss


def _likelihood_loss(predicted: LogProbabilities, classes: np.ndarray) -> float:
    return float(-predicted[np.arange(len(classes)), classes].mean())
