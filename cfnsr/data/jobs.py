"""The files of a job, which is one row of the table under one protocol, on one fold, from one seed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pyarrow as pa
from pydantic import ConfigDict, TypeAdapter

from cfnsr.data.splits import Speakers, Trial
from cfnsr.runtime import stored
from cfnsr.runtime.outputs import atomic_file

# Which epoch's predictions: that with the best validation accuracy, the last, and that with the best test accuracy.
CHOICES = ("selected", "last_epoch", "best_test_epoch")
VALIDATION = "validation"  # predictions of the validation speakers at the selected epoch
SPEAKERS = "speakers"  # the key of the sets of speakers in a table's attributes, which Parquet keeps
_PREDICTIONS = "a table of predictions"
_COLUMNS = ("choice", "label", "predicted")  # that every reader of predictions needs


@dataclass(frozen=True)
class JobPaths:
    """The files of a job.

    Attributes:
        model: folder of the trained network.
        results: folder of all other outputs.
        resume: folder of the state that a killed run resumes from, outside every output.
    """

    model: Path
    results: Path
    resume: Path

    @classmethod
    def of(cls, corpus_folder: Path, name: str, trial: Trial) -> JobPaths:
        """Return the paths of a job.

        Args:
            corpus_folder: ``data/<corpus>``.
            name: of the row: a modality, a system or an ablation.
            trial: protocol, fold and seed.
        """
        job = trial.folder(name)
        resume = corpus_folder.parent / ".resume" / corpus_folder.name
        return cls(corpus_folder / "models" / job, corpus_folder / "jobs" / job, resume / job)

    @property
    def checkpoint(self) -> Path:
        """Return the path of the network's weights and ``ModelSpec``."""
        return self.model / "model.safetensors"

    @property
    def record(self) -> Path:
        """Return the path of the ``JobRecord``."""
        return self.results / "record.json"

    @property
    def predictions(self) -> Path:
        """Return the path of the table of predictions, see ``read_predictions``."""
        return self.results / "predictions.parquet"

    @property
    def curves(self) -> Path:
        """Return the folder of DVCLive's files and ``test.csv``, the test accuracy by epoch; empty without training."""
        return self.results / "curves"


def read_predictions(
    path: Path, columns: Sequence[str] = (), speakers: Speakers | None = None, labels: Sequence[str] = ()
) -> pd.DataFrame:
    """Read a job's table of predictions; ``cfnsr.evaluation.outputs.to_table`` describes its columns.

    Args:
        path: of the file.
        columns: of texts, that it must have besides the common ones.
        speakers: of the job's fold, which must be those of the table; None if it is of no fold.
        labels: the emotions, each of which must have a column of probabilities; without them none is needed.

    Raises:
        CfnsrError: the file is missing, damaged, another table or of other speakers.
    """
    types: dict[str, pa.DataType] = dict.fromkeys([*_COLUMNS, *columns], pa.string())
    table = stored.read_frame(path, types | dict.fromkeys(probabilities(labels), pa.float64()), _PREDICTIONS)
    with stored.reading(path, _PREDICTIONS):
        if "selected" not in table["choice"].array:
            raise ValueError("it has no predictions at the selected epoch")
        unknown = sorted({*table["label"], *table["predicted"]} - {*labels}) if labels else []
        if unknown:
            raise ValueError(f"it has the unknown emotion {unknown[0]}")
        recorded = TypeAdapter(dict[str, list[str]]).validate_python(table.attrs.get(SPEAKERS, {}))
    if speakers is not None:
        speakers.require(recorded, path)
    return table


def probabilities(labels: Iterable[str]) -> list[str]:
    """Return the columns of probabilities in a table of predictions."""
    return [f"p_{label}" for label in labels]


def worst_seen(seen: Iterable[str]) -> str:
    """Return the ``JobRecord.seen`` of a row on several encoders: ``yes`` before ``unknown`` before ``no``."""
    return max(seen, key=["no", "unknown", "yes"].index)


@dataclass(frozen=True)
class JobRecord:
    """The record of a job; the report computes its scores.

    Attributes:
        name: of the network: a modality or a system.
        protocol: one of ``PROTOCOLS``, or ``imported`` for a network that was trained elsewhere.
        fold: whose speakers test.
        seed: of weights, order of clips, dropout and augmentation.
        data: fingerprint of the data.
        parameters: number of weights, those of a frozen encoder included.
        reads: the modalities that the network reads.
        reconstructed: parts that the publication leaves open; empty if there are none.
        published_accuracy: 0 to 1; None where none was published.
        imported: the files that the network was imported from: name, sha256 and differences in preprocessing.
        epochs: number of trained epochs; 0 without training, as are the next two.
        selected_epoch: the epoch whose weights were kept, from 1.
        best_test_epoch: the epoch with the best test accuracy, from 1.
        seen: whether frozen weights have seen the corpus: ``no``, ``yes``, or ``unknown``.
        frozen_parameters: the weights that a frozen encoder brought with it.
        speakers: of the fold, from ``Speakers.lists``.
        libraries: versions of those that the job ran with, by name.
    """

    name: str
    protocol: str
    fold: str
    seed: int
    data: str
    parameters: int
    reads: list[str]
    reconstructed: str
    published_accuracy: float | None
    imported: list[dict[str, Any]]
    epochs: int = 0
    selected_epoch: int = 0
    best_test_epoch: int = 0
    seen: str = "no"
    frozen_parameters: int = 0
    speakers: dict[str, list[str]] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    def write(self, path: Path) -> None:
        """Write the record as JSON."""
        with atomic_file(path) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> JobRecord:
        """Read a record.

        Raises:
            CfnsrError: the file is missing or is not a record.
        """
        return stored.read_json(path, cls, "the record of a job")
