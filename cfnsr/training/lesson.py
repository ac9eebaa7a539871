"""A network going through its training clips."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from cfnsr.data import dataset
from cfnsr.data.fold import FoldDatasets
from cfnsr.evaluation import missing_modality
from cfnsr.evaluation.predict import Normalise
from cfnsr.models.types import Batch, Share
from cfnsr.training import clock
from cfnsr.training.augment import Augment
from cfnsr.training.optimiser import Adam
from cfnsr.training.settings import Criterion, Recipe
from cfnsr.training.team import ALONE, Team

_EPOCH, _OVER = "epoch", "over"
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Lesson:
    """A network, its training clips, and one way to go through them: all but which epoch is kept.

    Several processes may go through them together: the first leads, and what it does the others ``follow``.

    Args:
        network: on the device of ``prepare``; trained in place. Modules whose weights are all frozen stay in evaluation
            mode.
        batches: of the training speakers, this process's share; its generator is the only source of their order.
        recipe: how to train.
        criterion: what is lowered.
        augment: what chance does to a batch on the device.
        prepare: the last step before the network.
        watch: times the phases of each step.
        team: who learns together.
    """

    def __init__(
        self,
        network: nn.Module,
        batches: DataLoader[Share],
        recipe: Recipe,
        *,
        criterion: Criterion,
        augment: Augment,
        prepare: Normalise,
        watch: clock.Phases = clock.unwatched,
        team: Team = ALONE,
    ) -> None:
        self.network, self._batches, self._recipe, self._team = network, batches, recipe, team
        self._criterion, self._augment, self._prepare, self._watch = criterion, augment, prepare, watch
        compiled: Any = torch.compile(network) if recipe.compile else network
        self._forward = team.spread(compiled)
        self._weights = [value for value in network.parameters() if value.requires_grad]
        self._optimiser = Adam(self._weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
        self._schedule = LambdaLR(self._optimiser, lambda step: recipe.rate(step, self._steps))
        # fp16's small gradients would vanish; the scaler does nothing for the others.
        self._scaler = torch.amp.GradScaler(prepare.device.type, enabled=recipe.precision == "fp16")
        self._chance = team.from_all(self._drawn_so_far())
        self._heard = True  # whether followers wait for the leader's word

    @property
    def _steps(self) -> int:
        """Of an epoch."""
        return math.ceil(len(self._batches) / self._recipe.accumulate)

    def epoch(self) -> float:
        """Go once through the training clips; returns the mean loss."""
        self._team.said(_EPOCH)
        self._heard = False
        loss = self._epoch()
        self._heard = True
        return loss

    def _epoch(self) -> float:
        loss = self.batches(len(self._batches))
        self._chance = self._team.from_all(self._drawn_so_far())
        return loss

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Within, the others follow; at its end they are let go.

        Unless an epoch was cut short: then they wait elsewhere, or are gone, and end when this process does.
        """
        try:
            yield
        except Exception:
            if self._heard:
                self._team.said(_OVER)
            raise
        self._team.said(_OVER)

    def follow(self) -> None:
        """Do what the leader does, until it lets go."""
        said: Any = None
        while (said := self._team.said(said)) != _OVER:
            if said == _EPOCH:
                self._epoch()
            else:
                self._load(said)

    def batches(self, count: int) -> float:
        """Learn from the first batches of an epoch; returns the mean loss."""
        _train_mode(self.network)
        total, clips, joined, taken = 0.0, 0, self._recipe.accumulate, 0.0
        for number, share in enumerate(islice(clock.each(self._batches, "load", self._watch), count), start=1):
            whole = self._criterion.weight(share.whole)
            # Joined batches count by their clips, so that a short one at the end pulls no harder than its share.
            part = whole / (joined * self._recipe.batch_size) if joined > 1 else 1.0
            # Shares of a batch too: the mean over processes of what they add is to be the gradient of the whole.
            mine = 0.0 if share.idle else self._criterion.weight(share.clips.label) / whole
            loss = self._learn(share.clips, part * mine * self._team.count)
            taken += part
            if number % joined == 0 or number == count:
                with self._watch("optimiser"):
                    self._step(taken)
                taken = 0.0
            total += loss * mine * len(share.whole)
            clips += len(share.whole)
        return sum(self._team.from_all(total)) / clips

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
            self._team.backward(self._scaler.scale(loss * share))
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
        return {name: part.state_dict() for name, part in self._parts().items()} | {"chance": self._chance}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was taken."""
        self._load(self._team.said(state))

    def _load(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self._chance = state["chance"]
        mine = self._chance[self._team.rank]
        for name, generator in self._generators().items():
            generator.set_state(mine[name])
        torch.set_rng_state(mine["cpu"])
        if self._prepare.device.type == "cuda":
            torch.cuda.set_rng_state(mine["cuda"], self._prepare.device)

    def _drawn_so_far(self) -> dict[str, torch.Tensor]:
        """The state of every source of chance in this process."""
        chance = {name: generator.get_state() for name, generator in self._generators().items()}
        chance["cpu"] = torch.get_rng_state()
        if self._prepare.device.type == "cuda":
            chance["cuda"] = torch.cuda.get_rng_state(self._prepare.device)
        return chance

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
    network: nn.Module,
    fold: FoldDatasets,
    recipe: Recipe,
    changes: dict[str, Any],
    prepare: Normalise,
    *,
    team: Team = ALONE,
    watch: clock.Phases = clock.unwatched,
) -> Lesson:
    """A network with its training clips, and what is done to both.

    Args:
        network: on its device.
        fold: its ``train`` is learned from.
        recipe: how.
        changes: ``train.augment`` of params.yaml.
        prepare: the last step before the network.
        team: who learns together.
        watch: times the phases of each step.
    """
    clips, order, seed = fold.train, fold.trial.seed, fold.trial.seed
    if team.rank:  # the order is every process's, its dropout and augmentation its own
        seed = int(np.random.SeedSequence([seed, team.rank]).generate_state(1)[0])
        torch.manual_seed(seed)
    both = bool(missing_modality.removable(network))
    return Lesson(
        network,
        dataset.shuffled(clips, recipe.batch_size, seed=order, rank=team.rank, count=team.count),
        recipe,
        criterion=Criterion(recipe, clips.classes, len(clips.labels), prepare.device),
        augment=Augment(
            video=changes["video"],
            audio=changes["audio"],
            modality_dropout=changes["modality_dropout"] if both else 0.0,
            seed=seed,
        ),
        prepare=prepare,
        watch=watch,
        team=team,
    )


def _train_mode(network: nn.Module) -> None:
    network.train()
    for module in network.modules():
        weights = list(module.parameters())
        if weights and not any(value.requires_grad for value in weights):
            module.eval()  # a frozen layer's statistics stay what they are
