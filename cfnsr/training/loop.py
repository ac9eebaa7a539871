"""The training loop: epochs in ``fit``, steps in ``Trainer.train_epoch``."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.profiler import record_function

from cfnsr.data import dataset
from cfnsr.data.dataset import Clips, FoldDatasets
from cfnsr.errors import CfnsrError
from cfnsr.evaluation.predict import Normalise, Predictor, TestMonitor, accuracy
from cfnsr.models.types import Batch
from cfnsr.training import distributed
from cfnsr.training.augment import Augment
from cfnsr.training.objective import Objective
from cfnsr.training.optimiser import Adam
from cfnsr.training.resume import ResumeCheckpoint
from cfnsr.training.settings import TrainingSettings

STATE = ("network", "optimiser", "schedule", "scaler")  # what a resumed training needs of a trainer
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch.

    Attributes:
        number: from 1.
        train_loss: mean of the objective over the epoch's training clips, in nats.
        validation_loss: negative log-likelihood of the clips that select the epoch, in nats.
        validation_accuracy: share of these clips that is predicted correctly.
    """

    number: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float

    def is_better_than(self, other: Epoch) -> bool:
        """Compare validation accuracy, and where it is equal validation loss."""
        return (self.validation_accuracy, -self.validation_loss) > (other.validation_accuracy, -other.validation_loss)


@dataclass(frozen=True)
class Fit:
    """The result of a training.

    Attributes:
        epochs: the figures of all epochs.
        selected_epoch: number of the epoch whose weights were kept.
        test_monitor: the test accuracy after each epoch, and predictions.
    """

    epochs: list[Epoch]
    selected_epoch: int
    test_monitor: TestMonitor


def fit(
    trainer: Trainer,
    fold: FoldDatasets,
    predictor: Predictor,
    *,
    resume: ResumeCheckpoint,
    report: Callable[[Epoch], None],
) -> Fit:
    """Train a network, and leave it with the weights of the epoch that validates best.

    The best epoch has the highest validation accuracy; of equal ones the lowest validation loss; then the first.

    Args:
        trainer: the network and how it is trained.
        fold: its ``selection_split`` alone selects the epoch; its ``test`` is monitored.
        predictor: of the trainer's network.
        resume: is given the state after each epoch; training continues from the state that it loads.
        report: is called with each epoch's figures; after a kill with those of earlier epochs again.

    Raises:
        CfnsrError: a loss is NaN or infinite.
    """
    network, settings, selection = trainer.network, trainer.settings, fold.selection_split
    epochs: list[Epoch] = []
    selected, selected_weights = 0, dict[str, Tensor]()
    test_monitor = TestMonitor(predictor, fold.test)
    if (state := distributed.broadcast(resume.load() if distributed.rank() == 0 else None)) is not None:
        trainer.load_state_dict(state["trainer"])
        test_monitor.load_state_dict(state["test_monitor"])
        epochs = [Epoch(**figures) for figures in state["epochs"]]
        selected, selected_weights = state["selected"], state["selected_weights"]
    for epoch in epochs:
        report(epoch)

    while len(epochs) < settings.epochs and not (settings.patience and len(epochs) - selected >= settings.patience):
        number = len(epochs) + 1
        train_loss = trainer.train_epoch(number)
        validation = predictor.predict(selection)
        loss = float(-validation[np.arange(len(selection)), selection.classes].mean())
        epoch = Epoch(number, train_loss, loss, accuracy(validation, selection.classes))
        if not math.isfinite(train_loss + loss):
            problem = f"the loss is NaN or infinite (training {train_loss}, validation {loss})"
            raise CfnsrError(f"epoch {number}", problem, "Set train.precision to fp32, or lower the learning rate")
        epochs.append(epoch)
        if not selected or epoch.is_better_than(epochs[selected - 1]):
            selected = number
            selected_weights = {name: value.clone() for name, value in network.state_dict().items()}
        test_monitor.update()
        if distributed.rank() == 0:
            resume.save(
                {
                    "trainer": trainer.state_dict(),
                    "test_monitor": test_monitor.state_dict(),
                    "epochs": [asdict(figures) for figures in epochs],
                    "selected": selected,
                    "selected_weights": selected_weights,
                }
            )
        report(epoch)
    network.load_state_dict(selected_weights)
    return Fit(epochs, selected, test_monitor)


class Trainer:
    """A network, the clips that it is trained on, and the optimiser that changes its weights.

    Args:
        network: on the device of ``normalise``; trained in place. A layer whose weights are all frozen stays in
            evaluation mode.
        clips: of the training speakers.
        settings: how to train.
        augment: changes batches at random.
        normalise: moves batches to the device and normalises their frames.
        seed: with the number of the epoch it decides the order of the clips; with epoch and rank also dropout and
            augmentation. So a resumed training needs no state of random generators.
    """

    def __init__(
        self,
        network: nn.Module,
        clips: Clips,
        settings: TrainingSettings,
        *,
        augment: Augment,
        normalise: Normalise,
        seed: int,
    ) -> None:
        self.network, self.clips, self.settings, self.seed = network, clips, settings, seed
        self._augment, self._normalise, self._device = augment, normalise, normalise.device
        self.objective = Objective(settings, clips.classes, len(clips.labels), self._device)
        compiled: Any = torch.compile(network) if settings.compile else network
        self._forward = distributed.parallel(compiled, self._device)
        self._weights = [value for value in network.parameters() if value.requires_grad]
        self.optimiser = Adam(self._weights, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
        steps = math.ceil(len(self.batches(epoch=1)) / settings.accumulate)
        self.schedule = LambdaLR(self.optimiser, lambda step: settings.lr_scale(step, steps))
        # Small fp16 gradients would underflow to 0 without a scale; disabled, the scaler does nothing.
        self.scaler = torch.amp.GradScaler(self._device.type, enabled=settings.precision == "fp16")

    def batches(self, epoch: int) -> torch.utils.data.DataLoader[Batch]:
        """Return the loader of an epoch's batches; of each batch this process's share."""
        processes = {"rank": distributed.rank(), "world_size": distributed.world_size()}
        return dataset.shuffled(self.clips, self.settings.batch_size, seed=self.seed, epoch=epoch, **processes)

    def train_epoch(self, epoch: int, max_batches: int | None = None) -> float:
        """Train on every training clip once, or on ``max_batches`` batches, and return the mean loss in nats."""
        generator = self._seed(epoch)
        _set_train_mode(self.network)
        loader = self.batches(epoch)
        batches, count = iter(loader), min(len(loader), max_batches or len(loader))
        clips_per_step = self.settings.batch_size * self.settings.accumulate
        loss_sum, normaliser_sum, pending = torch.zeros((), dtype=torch.float64, device=self._device), 0.0, 0.0
        for number in range(1, count + 1):
            with record_function("load"):
                batch = next(batches)
            normaliser = self.objective.normaliser(batch.label)
            normaliser_of_all = distributed.total(normaliser, self._device)  # of the shares of all processes
            # DistributedDataParallel averages gradients, so their sum needs a factor of world_size.
            loss = self._backward(batch, generator, normaliser * distributed.world_size() / clips_per_step)
            loss_sum += loss * normaliser
            normaliser_sum += normaliser_of_all
            pending += normaliser_of_all / clips_per_step
            if number % self.settings.accumulate == 0 or number == count:
                with record_function("optimiser"):
                    self._step(pending)
                pending = 0.0
        distributed.share_buffers(self.network)
        return distributed.total(loss_sum.item(), self._device) / normaliser_sum

    def _seed(self, epoch: int) -> torch.Generator:
        """Seed dropout, and return the generator of augmentation."""
        seeds = np.random.SeedSequence([self.seed, epoch, distributed.rank()]).generate_state(2)
        for seed in (torch.manual_seed, np.random.seed, random.seed):
            seed(int(seeds[0]))
        return torch.Generator().manual_seed(int(seeds[1]))

    def _backward(self, batch: Batch, generator: torch.Generator, scale: float) -> Tensor:
        """Add a batch's gradient times ``scale`` to the weights' gradients, and return the mean loss."""
        with record_function("augment"):
            batch = self._normalise(self._augment(batch.to(self._device), generator))
        precision = _AUTOCAST.get(self.settings.precision)
        with record_function("forward"):
            with torch.autocast(self._device.type, precision, enabled=precision is not None):
                prediction = self._forward(batch)
            loss = self.objective(self.network, prediction, batch.label)
        with record_function("backward"):
            self.scaler.scale(loss * scale).backward()
        return loss.detach()

    def _step(self, pending: float) -> None:
        """Update the weights, whose gradients are ``pending`` times the mean over the clips since the last step."""
        if pending != 1:
            for weight in self._weights:
                if weight.grad is not None:
                    weight.grad.div_(pending)
        if self.settings.clip_norm:
            self.scaler.unscale_(self.optimiser)
            torch.nn.utils.clip_grad_norm_(self._weights, self.settings.clip_norm)
        before = self.scaler.get_scale()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.scaler.get_scale() >= before:  # else the gradient overflowed, and the step was skipped
            self.schedule.step()
        self.optimiser.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs."""
        return {name: getattr(self, name).state_dict() for name in STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what ``state_dict`` returned."""
        for name in STATE:
            getattr(self, name).load_state_dict(state[name])


def _set_train_mode(network: nn.Module) -> None:
    """Put a network into training mode, except for layers whose weights are all frozen."""
    network.train()
    for module in network.modules():
        weights = list(module.parameters())
        if weights and not any(value.requires_grad for value in weights):
            module.eval()  # keeps the layer's batch statistics as they are
