"""One cell of the table: a network, a fold -> model, predictions, curves and a short account of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from dvclive.live import Live
from torch import nn

from cfnsr import checkpoint, dataset, evaluate, train
from cfnsr.atomic import atomic_file, atomic_folder
from cfnsr.dataset import Clips
from cfnsr.errors import CfnsrError
from cfnsr.evaluate import LogProbabilities
from cfnsr.gate import Gate


@dataclass(frozen=True)
class Places:
    """Where a cell's outputs go.

    Attributes:
        model: folder of ``model.safetensors``.
        cell: JSON, the account.
        predictions: Parquet, of the test speakers.
        curves: folder of DVCLive's files, and of ``test.csv`` that nothing may choose by.
    """

    model: Path
    cell: Path
    predictions: Path
    curves: Path


@dataclass(frozen=True)
class Fold:
    """One fold's clips: ``test`` may be looked at, but only ``validation`` chooses and only ``train`` teaches."""

    name: str
    test: Clips
    validation: Clips
    train: Clips

    @classmethod
    def open(cls, name: str, shards: Path, gate: Gate) -> Fold:
        sets = gate.speakers(name)
        return cls(
            name, *(Clips(shards, list(actors), gate.labels) for actors in (sets.test, sets.validation, sets.train))
        )


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

    def write(self, choices: dict[str, LogProbabilities], **epochs: int) -> None:
        """Write model, predictions and the account: what was run, on what data, which epochs were kept.

        Scores are not in it: they are the report's to compute, from the predictions.
        """
        checkpoint.save(self.places.model / "model.safetensors", self.network, self.specification)
        with atomic_file(self.places.predictions) as partial:
            evaluate.table(self.fold.test.index, self.gate.labels, choices).to_parquet(partial, index=False)
        account = {
            "name": self.specification["name"],
            "fold": self.fold.name,
            "protocol": self.gate.protocol,
            "seed": self.specification["seed"],
            "data": self.gate.fingerprint,
            "parameters": sum(value.numel() for value in self.network.parameters()),
            **epochs,
        }
        with atomic_file(self.places.cell) as partial:
            partial.write_text(json.dumps(account, indent=2) + "\n", encoding="utf-8")


def run(cell: Cell, *, training: dict[str, Any], shared: dict[str, Any], device: torch.device) -> None:
    """Train a network on one fold and write all that is known of it.

    Args:
        cell: what to train, and on what.
        training: ``epochs``, ``batch_size``, ``learning_rate``, ``weight_decay``.
        shared: ``seed``, ``precision``, ``augment``.
        device: where to train.
    """
    cell.network.to(device)
    prepare = evaluate.Normalise(**cell.specification["pixels"], device=device)
    size = training["batch_size"]

    def look_at(clips: Clips) -> Callable[[nn.Module], LogProbabilities]:
        batches = dataset.in_order(clips, size)
        return lambda network: evaluate.predict(network, batches, prepare)

    onlooker = evaluate.Onlooker(look_at(cell.fold.test), cell.fold.test.classes)
    with atomic_folder(cell.places.curves) as curves:
        with Live(str(curves), dvcyaml=False, save_dvc_exp=False) as live:
            kept = train.fit(
                cell.network,
                dataset.shuffled(cell.fold.train, size, **shared["augment"], seed=shared["seed"]),
                train.Validation(look_at(cell.fold.validation), cell.fold.validation.classes),
                prepare=prepare,
                epochs=training["epochs"],
                learning_rate=training["learning_rate"],
                weight_decay=training["weight_decay"],
                precision=shared["precision"],
                onlooker=onlooker,
                report=lambda epoch: _log(live, epoch),
            )
        epochs = range(1, training["epochs"] + 1)
        tested = pd.DataFrame({"epoch": epochs, "accuracy": onlooker.accuracies})
        tested.to_csv(curves / "test.csv", index=False, lineterminator="\n")
    assert onlooker.best is not None and onlooker.last is not None
    choices = {"selected": onlooker.look(cell.network), "last": onlooker.last, "optimistic": onlooker.best}
    cell.write(choices, epochs=training["epochs"], selected_epoch=kept, optimistic_epoch=onlooker.best_epoch)


def combine(cell: Cell, unimodal: Path) -> None:
    """The cell of a system that trains nothing: it combines the unimodal predictions of the same fold.

    Args:
        cell: its network offers ``combine(video, audio)`` of log-probabilities; no curves but empty ones are written.
        unimodal: folder of the unimodal cells' predictions. Each way of choosing the epoch is combined with
            itself: the optimistic row is that of both modalities' best test epochs.

    Raises:
        CfnsrError: the predictions are of other clips than the fold's test speakers'.
    """
    paths = [unimodal / modality / f"{cell.fold.name}.parquet" for modality in checkpoint.MODALITIES]
    for path in paths:
        if not path.is_file():
            raise CfnsrError(path, "is missing", "Run `dvc repro pretrain`")
    tables = [pd.read_parquet(path) for path in paths]
    tested = cell.fold.test.index["clip"].tolist()
    choices = {}
    for choice in ("selected", "last", "optimistic"):
        parts = []
        for path, table in zip(paths, tables, strict=True):
            if table.loc[table["choice"] == choice, "clip"].tolist() != tested:
                raise CfnsrError(
                    path,
                    f"predictions of other clips than those that {cell.fold.name} tests",
                    "Run `dvc repro pretrain`",
                )
            parts.append(torch.from_numpy(evaluate.untable(table, cell.gate.labels, choice)))
        choices[choice] = cell.network.combine(*parts).numpy()  # pyright: ignore[reportCallIssue]
    with atomic_folder(cell.places.curves):
        pass
    cell.write(choices, epochs=0, selected_epoch=0, optimistic_epoch=0)


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
