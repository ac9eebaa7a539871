"""Write the outputs of a job: network, predictions and record; turn predictions into a table and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import SPEAKERS, VALIDATION, JobPaths, JobRecord, probabilities
from cfnsr.errors import CfnsrError
from cfnsr.evaluation.reference import Reference
from cfnsr.evaluation.types import Attention, LogProbabilities
from cfnsr.runtime import libraries
from cfnsr.runtime.outputs import atomic_file

if TYPE_CHECKING:  # a stage that needs no network starts without torch, in half the time
    from torch import nn

    from cfnsr.models.spec import ModelSpec


def write_outputs(
    paths: JobPaths,
    network: nn.Module,
    spec: ModelSpec,
    datasets: FoldDatasets,
    choices: dict[str, LogProbabilities],
    *,
    attention: Attention | None = None,
    reference: Reference | None = None,
    epochs: int = 0,
    selected_epoch: int = 0,
    best_test_epoch: int = 0,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write network, predictions and record.

    Args:
        paths: of the job.
        network: with the weights that were kept.
        spec: of the network; saved with it.
        datasets: the clips that the predictions are of.
        choices: log-probabilities by choice: of the validation clips for ``VALIDATION``, else of the test clips.
        attention: of the test clips, in the ``selected`` network; goes into the rows of that choice.
        reference: of the training clips, in the network; goes beside it.
        epochs, selected_epoch, best_test_epoch: see ``JobRecord``.
        record: fields of the ``JobRecord`` that differ from the network's own.

    Raises:
        CfnsrError: predictions contain NaN or infinity.
    """
    from cfnsr.models import checkpoint

    checkpoint.save(paths.checkpoint, network, spec)
    if reference is not None:
        reference.write(paths.checkpoint)
    write_predictions(paths, spec.name, datasets, choices, attention=attention)
    system: Any = network
    accuracy = system.publication.accuracy
    own = JobRecord(
        name=spec.name,
        protocol="imported" if spec.imported else spec.protocol,
        fold=spec.fold,
        seed=spec.seed,
        data=spec.data,
        parameters=sum(value.numel() for value in network.parameters()),
        reads=sorted(system.modality_modules),
        reconstructed=system.publication.reconstructed,
        published_accuracy=None if accuracy is None else accuracy / 100,
        imported=spec.imported,
        epochs=epochs,
        selected_epoch=selected_epoch,
        best_test_epoch=best_test_epoch,
        speakers=datasets.speakers.lists(),
        libraries=libraries.versions(),
    )
    own = replace(own, **(record or {}))
    replace(own, parameters=own.parameters + own.frozen_parameters).write(paths.record)


def write_predictions(
    paths: JobPaths,
    name: str,
    datasets: FoldDatasets,
    choices: dict[str, LogProbabilities],
    *,
    attention: Attention | None = None,
) -> None:
    """Write the table of predictions; see ``write_outputs``.

    Raises:
        CfnsrError: predictions contain NaN or infinity.
    """
    invalid = [choice for choice, predicted in choices.items() if not np.isfinite(predicted).all()]
    if invalid:
        raise CfnsrError(
            name,
            f"predictions contain NaN or infinity ({', '.join(invalid)})",
            "Set train.precision to fp32, lower the learning rate, or import another file",
        )
    tables = []
    for choice, predicted in choices.items():
        clips = datasets.selection_split if choice == VALIDATION else datasets.test
        table = to_table(clips.index, clips.labels, choice, predicted)
        if choice == "selected" and attention is not None:
            table["attention"] = attention.tolist()
        tables.append(table)
    predictions = pd.concat(tables, ignore_index=True)
    predictions.attrs[SPEAKERS] = datasets.speakers.lists()
    with atomic_file(paths.predictions) as partial:
        predictions.to_parquet(partial, index=False, write_page_checksum=True)


def to_table(index: pd.DataFrame, labels: list[str], choice: str, predicted: LogProbabilities) -> pd.DataFrame:
    """Put predictions into a table of one row a clip.

    Args:
        index: the clips, as in the shards' index.
        labels: the emotions in the order of their class index.
        choice: which epoch the predictions are of.
        predicted: log-probabilities of these clips.

    Returns:
        Columns ``choice, clip, actor, label, predicted`` and a probability ``p_<label>`` for each emotion.
    """
    table = pd.DataFrame(index[["clip", "actor", "label"]]).copy()
    table.insert(0, "choice", choice)
    table["predicted"] = [labels[best] for best in predicted.argmax(axis=1)]
    table[probabilities(labels)] = np.exp(predicted.astype(np.float64))
    return table


def from_table(table: pd.DataFrame, labels: list[str], choice: str) -> LogProbabilities:
    """Return the log-probabilities of one choice of a table of predictions."""
    return np.log(table.loc[table["choice"] == choice, probabilities(labels)].to_numpy())
