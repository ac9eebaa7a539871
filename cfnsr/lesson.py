"""A network going through its training clips."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from cfnsr import absence, clock, dataset
from cfnsr.augment import Augment
from cfnsr.batch import Batch
from cfnsr.evaluate import Normalise
from cfnsr.fold import Fold
from cfnsr.optimiser import Adam
from cfnsr.recipe import Criterion, Recipe

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Lesson:
    """A network, its training clips, and one way to go through them: all but which epoch is kept.

    Args:
        network: on the device of ``prepare``; trained in place. Modules whose weights are all frozen stay in evaluation
            mode.
        batches: of the training speakers; its generator is the only source of their order.
        recipe: how to train.
        criterion: what is lowered.
        augment: what chance does to a batch on the device.
        prepare: the last step before the network.
        watch: times the phases of each step.
    """

    def __init__(
        self,
        network: nn.Module,
        batches: DataLoader[Batch],
        recipe: Recipe,
        *,
        criterion: Criterion,
        augment: Augment,
        prepare: Normalise,
        watch: clock.Phases = clock.unwatched,
    ) -> None:
        self.network, self._batches, self._recipe = network, batches, recipe
        self._criterion, self._augment, self._prepare, self._watch = criterion, augment, prepare, watch
        self._forward = torch.compile(network) if recipe.compile else network
        self._weights = [value for value in network.parameters() if value.requires_grad]
        self._optimiser = Adam(self._weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
        self._schedule = LambdaLR(self._optimiser, lambda step: recipe.rate(step, self._steps))
        # fp16's small gradients would vanish; the scaler does nothing for the others.
        self._scaler = torch.amp.GradScaler(prepare.device.type, enabled=recipe.precision == "fp16")

    @property
    def _steps(self) -> int:
        """Of an epoch."""
        return math.ceil(len(self._batches) / self._recipe.accumulate)

    def epoch(self) -> float:
        """Go once through the training clips; returns the mean loss."""
        return self.batches(len(self._batches))

    def batches(self, count: int) -> float:
        """Learn from the first batches of an epoch; returns the mean loss."""
        _train_mode(self.network)
        total, clips, joined, share = 0.0, 0, self._recipe.accumulate, 0.0
        for number, batch in enumerate(islice(clock.each(self._batches, "load", self._watch), count), start=1):
            # Joined batches count by their clips, so that a short one at the end pulls no harder than its share.
            part = self._criterion.weight(batch.label) / (joined * self._recipe.batch_size) if joined > 1 else 1.0
            loss = self._learn(batch, part)
            share += part
            if number % joined == 0 or number == count:
                with self._watch("optimiser"):
                    self._step(share)
                share = 0.0
            total += loss * len(batch.label)
            clips += len(batch.label)
        return total / clips

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self._batches)

    def _learn(self, batch: Batch, share: float) -> float:
        """Add ``share`` of a batch's gradient; returns its loss."""
        device = self._prepare.device
        with self._watch("augment"):
            frames, mel, mfcc, label = self._prepare(self._augment(batch.to(device)))
        with self._watch("forward"):
            precision = _AUTOCAST.get(self._recipe.precision)
            with torch.autocast(device.type, precision, enabled=precision is not None):
                prediction = self._forward(frames, mel, mfcc)
            loss = self._criterion(self.network, prediction, label)
        with self._watch("backward"):
            self._scaler.scale(loss * share).backward()
        return loss.item()

    def _step(self, share: float) -> None:
        """Take a step along the gradient, of which ``share`` of a whole one has been added up."""
        if share != 1:
            for weight in self._weights:
                if weight.grad is not None:
                    weight.grad.div_(share)
        if self._recipe.clip_norm:
            self._scaler.unscale_(self._optimiser)
            torch.nn.utils.clip_grad_norm_(self._weights, self._recipe.clip_norm)
        scale = self._scaler.get_scale()
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self._scaler.get_scale() >= scale:  # else the gradient overflowed, and no step was taken
            self._schedule.step()
        self._optimiser.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """All that the next epoch depends on; tensors are not copied."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        state["chance"] = {name: generator.get_state() for name, generator in self._generators().items()}
        state["chance"]["cpu"] = torch.get_rng_state()
        if self._prepare.device.type == "cuda":
            state["chance"]["cuda"] = torch.cuda.get_rng_state(self._prepare.device)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was taken."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        for name, generator in self._generators().items():
            generator.set_state(state["chance"][name])
        torch.set_rng_state(state["chance"]["cpu"])
        if self._prepare.device.type == "cuda":
            torch.cuda.set_rng_state(state["chance"]["cuda"], self._prepare.device)

    def _parts(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "optimiser": self._optimiser,
            "schedule": self._schedule,
            "scaler": self._scaler,
        }

    def _generators(self) -> dict[str, torch.Generator]:
        order = self._batches.generator
        assert isinstance(order, torch.Generator)
        return {"order": order, "augment": self._augment.generator}


def lesson_of(
    network: nn.Module, fold: Fold, recipe: Recipe, changes: dict[str, Any], prepare: Normalise, **watched: Any
) -> Lesson:
    """A network with its training clips, and what is done to both.

    Args:
        network: on its device.
        fold: its ``train`` is learned from.
        recipe: how.
        changes: ``train.augment`` of params.yaml.
        prepare: the last step before the network.
        watched: ``watch``, where time is taken.
    """
    clips, seed = fold.train, fold.trial.seed
    both = bool(absence.removable(network))
    return Lesson(
        network,
        dataset.shuffled(clips, recipe.batch_size, seed=seed),
        recipe,
        criterion=Criterion(recipe, clips.classes, len(clips.labels), prepare.device),
        augment=Augment(
            video=changes["video"],
            audio=changes["audio"],
            modality_dropout=changes["modality_dropout"] if both else 0.0,
            seed=seed,
        ),
        prepare=prepare,
        **watched,
    )


def _train_mode(network: nn.Module) -> None:
    network.train()
    for module in network.modules():
        weights = list(module.parameters())
        if weights and not any(value.requires_grad for value in weights):
            module.eval()  # a frozen layer's statistics stay what they are
