"""One cell of the table: a network, a fold -> model, predictions, curves and a short account of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from dvclive.live import Live
from torch import nn

from cfnsr import absence, checkpoint, dataset, device, evaluate, memory, train
from cfnsr.atomic import atomic_file, atomic_folder
from cfnsr.dataset import Clips
from cfnsr.errors import CfnsrError
from cfnsr.evaluate import Attention, LogProbabilities
from cfnsr.fold import Fold
from cfnsr.gate import Gate
from cfnsr.lesson import lesson_of
from cfnsr.recipe import Recipe
from cfnsr.resume import Standing, fingerprint

CHOICES = ("selected", "last", "optimistic")  # of the epoch
VALIDATION = "validation"  # the validation speakers' predictions at the selected epoch, for the temperature


@dataclass(frozen=True)
class Places:
    """Where a cell's outputs go.

    Attributes:
        model: folder of ``model.safetensors``.
        cell: JSON, the account.
        predictions: Parquet, of the test speakers.
        curves: folder of DVCLive's files, and of ``test.csv`` that nothing may choose by.
        resume: folder of what a killed run of this cell goes on from; no output.
    """

    model: Path
    cell: Path
    predictions: Path
    curves: Path
    resume: Path


@dataclass(frozen=True)
class Cell:
    """All that a cell is made from, but for how it is trained.

    Attributes:
        network: with the weights to start from.
        specification: how it was built, and how its input is prepared; saved with it.
        fold: the clips.
        gate: labels, protocol and fingerprint.
        places: where the outputs go.
    """

    network: nn.Module
    specification: checkpoint.Specification
    fold: Fold
    gate: Gate
    places: Places

    def write(self, choices: dict[str, LogProbabilities], attended: Attention | None = None, **epochs: int) -> None:
        """Write model, predictions and the account: what was run, on what data, which epochs were kept.

        Scores are not in it: they are the report's to compute, from the predictions.

        Raises:
            CfnsrError: a prediction is no number.
        """
        if not all(np.isfinite(predicted).all() for predicted in choices.values()):
            raise CfnsrError(
                self.specification["name"],
                "its predictions are no numbers",
                "Set train.precision to fp32, lower the learning rate, or import another file",
            )
        network: Any = self.network  # with what every system says of itself
        checkpoint.save(self.places.model / "model.safetensors", network, self.specification)
        with atomic_file(self.places.predictions) as partial:
            tables = [
                evaluate.table(self._clips(choice).index, self.gate.labels, {choice: predicted})
                for choice, predicted in choices.items()
            ]
            if attended is not None:  # on the test speakers' clips, at the selected epoch
                assert next(iter(choices)) == "selected"
                tables[0]["attention"] = attended.tolist()
            pd.concat(tables, ignore_index=True).to_parquet(partial, index=False)
        account = {
            "name": self.specification["name"],
            **asdict(self.fold.trial),
            "protocol": "imported" if self.specification["imported"] else self.fold.trial.protocol,
            "data": self.gate.fingerprint,
            "parameters": sum(value.numel() for value in network.parameters()),
            "reads": sorted(network.features),
            "reconstructed": network.about.reconstructed,
            "published_accuracy": None if network.about.accuracy is None else network.about.accuracy / 100,
            "imported": self.specification["imported"],
            **epochs,
        }
        with atomic_file(self.places.cell) as partial:
            partial.write_text(json.dumps(account, indent=2) + "\n", encoding="utf-8")

    def _clips(self, choice: str) -> Clips:
        """Whose predictions a choice holds: the test speakers', but for ``VALIDATION``."""
        return self.fold.choosing if choice == VALIDATION else self.fold.test


def run(cell: Cell, *, training: dict[str, Any], shared: dict[str, Any], place: torch.device) -> None:
    """Train a network on one fold and write all that is known of it.

    Args:
        cell: what to train, and on what.
        training: ``epochs``, ``batch_size``, ``learning_rate``, ``weight_decay``.
        shared: ``train`` of params.yaml.
        place: the device to train on.
    """
    memory.keep()
    recipe = Recipe.of(training, shared, device.pick_precision(shared["precision"], place))
    if recipe.compile:
        device.needs_compiler(place)
    looks = _Looks(cell, recipe.batch_size, place)
    standing = _standing(cell, recipe, shared, place)
    lesson = lesson_of(cell.network, cell.fold, recipe, shared["augment"], looks.prepare)
    onlooker = evaluate.Onlooker(looks.at(cell.fold.test), cell.fold.test.classes)
    choosing = cell.fold.choosing
    with atomic_folder(cell.places.curves) as curves:
        with Live(str(curves), dvcyaml=False, save_dvc_exp=False) as live:
            kept, last = train.fit(
                lesson,
                train.Validation(looks.at(choosing), choosing.classes),
                epochs=recipe.epochs,
                patience=recipe.patience,
                onlooker=onlooker,
                report=lambda epoch: _log(live, epoch),
                saved=standing,
            )
        tested = pd.DataFrame({"epoch": range(1, last + 1), "accuracy": onlooker.accuracies})
        tested.to_csv(curves / "test.csv", index=False, lineterminator="\n")
    assert onlooker.best is not None and onlooker.last is not None
    choices = {
        "selected": onlooker.look(cell.network),
        "last": onlooker.last,
        "optimistic": onlooker.best,
        **looks.without_each_modality(),
    }
    if cell.fold.validation is not None:
        choices[VALIDATION] = looks.at(cell.fold.validation)(cell.network)
    cell.write(choices, looks.attention(), epochs=last, selected_epoch=kept, optimistic_epoch=onlooker.best_epoch)
    standing.drop()


def _standing(cell: Cell, recipe: Recipe, shared: dict[str, Any], place: torch.device) -> Standing:
    described = [cell.specification, asdict(recipe), shared, asdict(cell.gate), place.type]
    return Standing(cell.places.resume, fingerprint(cell.network.state_dict(), *described))


def score(cell: Cell, *, batch_size: int, place: torch.device) -> None:
    """The cell of a network that was trained elsewhere: what it predicts of the test speakers, and no curves.

    Args:
        cell: its network is evaluated as it is; there is no other epoch to show beside.
        batch_size: clips at a time.
        place: the device to evaluate on.
    """
    looks = _Looks(cell, batch_size, place)
    choices = {"selected": looks.at(cell.fold.test)(cell.network), **looks.without_each_modality()}
    with atomic_folder(cell.places.curves):
        pass
    cell.write(choices, looks.attention(), epochs=0, selected_epoch=0, optimistic_epoch=0)


class _Looks:
    """A cell's network on its device, and how it is shown clips there."""

    def __init__(self, cell: Cell, batch_size: int, device: torch.device) -> None:
        cell.network.to(device)
        self.cell, self.size = cell, batch_size
        self.prepare = evaluate.Normalise(**cell.specification["pixels"], device=device)

    def at(self, clips: Clips) -> Callable[[nn.Module], LogProbabilities]:
        batches = dataset.in_order(clips, self.size)
        return lambda network: evaluate.predict(network, batches, self.prepare)

    def attention(self) -> Attention | None:
        """Where the network looks in the test speakers' clips, if it says so."""
        return evaluate.attention(self.cell.network, dataset.in_order(self.cell.fold.test, self.size), self.prepare)

    def without_each_modality(self) -> dict[str, LogProbabilities]:
        """What the test speakers' clips are taken for without the face, and without the voice; see ``absence``."""
        network, fold = self.cell.network, self.cell.fold
        modalities = absence.removable(network)
        if not modalities:
            return {}
        instead = absence.stand_ins(network, dataset.in_order(fold.train, self.size), self.prepare)
        found = {}
        for modality in modalities:
            with absence.without(network, modality, instead):
                found[f"without_{modality}"] = self.at(fold.test)(network)
        return found


def combine(cell: Cell, unimodal: Path) -> None:
    """The cell of a system that trains nothing: it combines the unimodal predictions of the same fold.

    Args:
        cell: its network offers ``combine(video, audio)`` of log-probabilities; no curves but empty ones are written.
        unimodal: folder of the unimodal cells' predictions. Each way of choosing the epoch is combined with
            itself: the optimistic row is that of both modalities' best test epochs.

    Raises:
        CfnsrError: the predictions are of other clips than the fold's test speakers'.
    """
    trial = cell.fold.trial
    paths = [trial.within(unimodal, modality, ".parquet") for modality in checkpoint.MODALITIES]
    for path in paths:
        if not path.is_file():
            raise CfnsrError(path, "is missing", "Run `dvc repro pretrain evaluate`")
    tables = [pd.read_parquet(path) for path in paths]
    combined: Any = cell.network.combine
    choices: dict[str, LogProbabilities] = {}
    # An imported unimodal model has no other epoch than the one there is, and no validation speakers.
    for choice in (one for one in (*CHOICES, VALIDATION) if all(one in set(table["choice"]) for table in tables)):
        clips = cell.fold.choosing if choice == VALIDATION else cell.fold.test
        parts = [
            torch.from_numpy(_predicted(path, table, choice, clips, cell))
            for path, table in zip(paths, tables, strict=True)
        ]
        choices[choice] = combined(*parts).numpy()
        if choice == "selected":
            uniform = torch.full_like(parts[0], -math.log(len(cell.gate.labels)))
            choices["without_video"] = combined(uniform, parts[1]).numpy()
            choices["without_audio"] = combined(parts[0], uniform).numpy()
    with atomic_folder(cell.places.curves):
        pass
    cell.write(choices, epochs=0, selected_epoch=0, optimistic_epoch=0)


def _predicted(path: Path, table: pd.DataFrame, choice: str, clips: Clips, cell: Cell) -> LogProbabilities:
    shown = table.loc[table["choice"] == choice]
    theirs, ours = ([one["actor"].tolist(), one["clip"].tolist()] for one in (shown, clips.index))
    if theirs != ours:
        raise CfnsrError(
            path,
            f"predictions of other clips than those of {cell.fold.trial.fold} under {cell.fold.trial.protocol}",
            "Run `dvc repro pretrain evaluate`",
        )
    return evaluate.untable(table, cell.gate.labels, choice)


def _log(live: Live, epoch: train.Epoch) -> None:
    figures = asdict(epoch)
    number = figures.pop("number")
    for name, value in figures.items():
        live.log_metric(name.replace("_", "/", 1), value)
    live.next_step()
    print(
        f"epoch {number:3d}  train loss {epoch.train_loss:.3f}  validation loss {epoch.validation_loss:.3f}  "
        f"accuracy {epoch.validation_accuracy:6.1%}",
        flush=True,
    )
