"""One cell of the table: a network, a fold -> model, predictions, curves and a short account of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from dvclive.live import Live
from torch import nn

from cfnsr import checkpoint, dataset, evaluate, train
from cfnsr.atomic import atomic_file, atomic_folder
from cfnsr.dataset import Clips
from cfnsr.errors import CfnsrError
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


def specification(
    modality: str, fold: str, gate: Gate, options: dict[str, Any], *, seed: int, pixels: dict[str, list[float]]
) -> checkpoint.Specification:
    """What a unimodal model needs to be built and used again.

    Args:
        modality: ``video`` or ``audio``.
        fold: whose training speakers it learns from.
        gate: labels, preprocessing and shapes; the audio encoder's weights are sized by the shards' MFCC.
        options: of the encoder.
        seed: of the training.
        pixels: ``mean`` and ``deviation`` of each channel.
    """
    if modality == "audio":
        coefficients, steps = gate.shapes["mfcc"]
        options = {**options, "coefficients": coefficients, "steps": steps}
    return {
        "name": modality,
        "labels": gate.labels,
        "encoders": {modality: options},
        "options": {},
        "fold": fold,
        "seed": seed,
        "pixels": pixels,
        "preprocessing": gate.preprocessing,
        "data": gate.fingerprint,
    }


def fused(
    system: str, options: dict[str, Any], fold: Fold, gate: Gate, models: Path, *, seed: int
) -> tuple[nn.Module, checkpoint.Specification]:
    """A system on top of its own fold's unimodal models, and its specification.

    Raises:
        CfnsrError: a unimodal model is of another fold, whose test speakers it would have trained on, or of other data.
    """
    paths = {modality: models / modality / fold.name / "model.safetensors" for modality in checkpoint.MODALITIES}
    described = {modality: checkpoint.specification(path) for modality, path in paths.items()}
    for modality, path in paths.items():
        if (described[modality]["fold"], described[modality]["data"]) != (fold.name, gate.fingerprint):
            raise CfnsrError(
                path,
                f"was trained for {described[modality]['fold']} on data {described[modality]['data']}, "
                f"not for {fold.name} on data {gate.fingerprint}",
                "Run `dvc repro pretrain`",
            )
    combined = {
        **described["video"],
        "name": system,
        "options": options,
        "seed": seed,
        "encoders": {modality: described[modality]["encoders"][modality] for modality in paths},
    }
    trained = {modality: checkpoint.encoder(path) for modality, path in paths.items()}
    return checkpoint.build(combined, trained), combined


def run(
    network: nn.Module,
    specification: checkpoint.Specification,
    fold: Fold,
    gate: Gate,
    places: Places,
    *,
    training: dict[str, Any],
    shared: dict[str, Any],
) -> None:
    """Train a network on one fold and write all that is known of it.

    Args:
        network: with the weights to start from.
        specification: how it was built, and how its input is prepared; saved with it.
        fold: the clips.
        gate: labels, protocol and fingerprint.
        places: where the outputs go.
        training: ``epochs``, ``batch_size``, ``learning_rate``, ``weight_decay``.
        shared: ``seed``, ``device``, ``precision``, ``augment``.
    """
    labels = gate.labels
    device = train.pick_device(shared["device"])
    network = network.to(device)
    prepare = evaluate.Normalise(**specification["pixels"], device=device)
    size = training["batch_size"]

    def look_at(clips: Clips) -> Any:
        batches = dataset.in_order(clips, size)
        return lambda model: evaluate.predict(model, batches, prepare)

    onlooker = evaluate.Onlooker(look_at(fold.test), classes(fold.test, labels))
    validation = train.Validation(look_at(fold.validation), classes(fold.validation, labels))
    batches = dataset.shuffled(fold.train, size, **shared["augment"], seed=shared["seed"])
    with atomic_folder(places.curves) as curves:
        with Live(str(curves), dvcyaml=False, save_dvc_exp=False) as live:
            kept = train.fit(
                network,
                batches,
                validation,
                prepare=prepare,
                epochs=training["epochs"],
                learning_rate=training["learning_rate"],
                weight_decay=training["weight_decay"],
                precision=shared["precision"],
                onlooker=onlooker,
                report=lambda epoch: _log(live, epoch),
            )
        pd.DataFrame({"epoch": range(1, training["epochs"] + 1), "accuracy": onlooker.accuracies}).to_csv(
            curves / "test.csv", index=False, lineterminator="\n"
        )
    selected = onlooker.look(network)
    assert onlooker.best is not None and onlooker.last is not None
    checkpoint.save(places.model / "model.safetensors", network, specification)
    write_predictions(
        places.predictions, fold, labels, {"selected": selected, "last": onlooker.last, "optimistic": onlooker.best}
    )
    write_account(
        places.cell,
        network,
        specification,
        gate,
        epochs=training["epochs"],
        selected_epoch=kept,
        optimistic_epoch=onlooker.best_epoch,
    )


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


def combine(
    network: nn.Module,
    specification: checkpoint.Specification,
    fold: Fold,
    gate: Gate,
    places: Places,
    *,
    unimodal: Path,
) -> None:
    """The cell of a system that trains nothing: it combines the unimodal predictions of the same fold.

    Args:
        network: offers ``combine(video, audio)`` of log-probabilities.
        specification, fold, gate, places: as for ``run``; no curves but empty ones are written.
        unimodal: folder of the unimodal cells' predictions. Each way of choosing the epoch is combined with
            itself: the optimistic row is that of both modalities' best test epochs.
    """
    paths = [unimodal / modality / f"{fold.name}.parquet" for modality in checkpoint.MODALITIES]
    tables = [pd.read_parquet(path) for path in paths]
    choices = {}
    for choice in ("selected", "last", "optimistic"):
        parts = []
        for path, table in zip(paths, tables, strict=True):
            if table.loc[table["choice"] == choice, "clip"].tolist() != fold.test.index["clip"].tolist():
                raise CfnsrError(
                    path, f"predictions of other clips than those that {fold.name} tests", "Run `dvc repro pretrain`"
                )
            parts.append(torch.from_numpy(evaluate.untable(table, gate.labels, choice)))
        choices[choice] = network.combine(*parts).numpy()  # pyright: ignore
    checkpoint.save(places.model / "model.safetensors", network, specification)
    with atomic_folder(places.curves):
        pass
    write_predictions(places.predictions, fold, gate.labels, choices)
    write_account(places.cell, network, specification, gate, epochs=0, selected_epoch=0, optimistic_epoch=0)


def classes(clips: Clips, labels: list[str]) -> np.ndarray:
    """The class index of each clip."""
    return np.array([labels.index(label) for label in clips.index["label"]])


def write_predictions(path: Path, fold: Fold, labels: list[str], choices: dict[str, Any]) -> None:
    with atomic_file(path) as partial:
        evaluate.table(fold.test.index, labels, choices).to_parquet(partial, index=False)


def write_account(
    path: Path,
    network: nn.Module,
    specification: checkpoint.Specification,
    gate: Gate,
    *,
    epochs: int,
    selected_epoch: int,
    optimistic_epoch: int,
) -> None:
    """The cell's JSON: what was run, on what data, and which epochs were kept. Scores are the report's to compute."""
    account = {
        "name": specification["name"],
        "fold": specification["fold"],
        "protocol": gate.protocol,
        "seed": specification["seed"],
        "data": gate.fingerprint,
        "parameters": sum(value.numel() for value in network.parameters()),
        "epochs": epochs,
        "selected_epoch": selected_epoch,
        "optimistic_epoch": optimistic_epoch,
    }
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(account, indent=2) + "\n", encoding="utf-8")
