"""One cell of the table: a network, a fold -> model, predictions, curves and a short account of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from cfnsr.data.dataset import Clips
from cfnsr.data.fold import FoldDatasets
from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.evaluation import predict
from cfnsr.evaluation.predict import Attention, LogProbabilities
from cfnsr.models import checkpoint
from cfnsr.runtime.outputs import atomic_file

CHOICES = ("selected", "last_epoch", "best_test_epoch")  # of the epoch
VALIDATION = "validation"  # the validation speakers' predictions at the selected epoch, for the temperature


@dataclass(frozen=True)
class JobPaths:
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
class Job:
    """All that a cell is made from, but for how it is trained.

    Attributes:
        network: with the weights to start from.
        specification: how it was built, and how its input is prepared; saved with it.
        fold: the clips.
        manifest: labels, protocol and fingerprint.
        places: where the outputs go.
    """

    network: nn.Module
    specification: checkpoint.Specification
    fold: FoldDatasets
    manifest: Manifest
    places: JobPaths

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
                predict.table(self._clips(choice).index, self.manifest.labels, {choice: predicted})
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
            "data": self.manifest.fingerprint,
            "parameters": sum(value.numel() for value in network.parameters()),
            "reads": sorted(network.modality_modules),
            "reconstructed": network.publication.reconstructed,
            "published_accuracy": None if network.publication.accuracy is None else network.publication.accuracy / 100,
            "imported": self.specification["imported"],
            **epochs,
        }
        with atomic_file(self.places.cell) as partial:
            partial.write_text(json.dumps(account, indent=2) + "\n", encoding="utf-8")

    def _clips(self, choice: str) -> Clips:
        """Whose predictions a choice holds: the test speakers', but for ``VALIDATION``."""
        return self.fold.selection_split if choice == VALIDATION else self.fold.test
