"""Which of the trained models to take away: the validation speakers say, who are no fold's result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.runtime.outputs import atomic_folder


@dataclass(frozen=True)
class Best:
    """One trained model, and what it was chosen by; shares from 0 to 1.

    Attributes:
        name: the system, or the modality alone.
        trial: the fold and the seed.
        validation_accuracy: of the system, on the validation speakers of all folds and seeds.
        validation_accuracy_of_fold: of this model, on its own.
    """

    name: str
    trial: Trial
    validation_accuracy: float
    validation_accuracy_of_fold: float


def choose(predictions: Path, trials: Mapping[str, list[Trial]]) -> Best | None:
    """The system that is right most often on validation speakers, and of its models the one that is.

    No test speaker has a say: had they, the accuracy that stands beside the system would be no estimate of it any more.
    Where two are right equally often, the first named.

    Args:
        predictions: folder of one protocol, ``<name>/<fold>/<seed>.parquet``.
        trials: by system, its folds and seeds.

    Returns:
        The best; none where nobody validates any, as with what is joined of imported networks.

    Raises:
        CfnsrError: a file is missing.
    """
    right = {
        name: {trial: _right(trial.within(predictions, name, ".parquet")) for trial in of_name}
        for name, of_name in trials.items()
    }
    right = {name: parts for name, parts in right.items() if not any(part.empty for part in parts.values())}
    if not right:
        return None
    pooled = {name: float(pd.concat(list(parts.values())).mean()) for name, parts in right.items()}
    name = max(pooled, key=lambda one: pooled[one])
    means = {trial: float(part.mean()) for trial, part in right[name].items()}
    trial = max(means, key=lambda one: means[one])
    return Best(name, trial, pooled[name], means[trial])


def _right(path: Path) -> pd.Series:
    if not path.is_file():
        raise CfnsrError(path, "is missing", "Run `dvc repro`, which makes what is missing")
    table = pd.read_parquet(path, columns=["choice", "label", "predicted"])
    validated = table.loc[table["choice"] == "validation"]
    return validated["label"] == validated["predicted"]


def write(out: Path, best: Best | None, models: Path) -> None:
    """Copy the model into ``out``, and say in ``best.json`` which it is.

    Args:
        out: the folder to write; empty where there is no best.
        best: what ``choose`` found.
        models: folder of one protocol, ``<name>/<fold>/<seed>/model.safetensors``.
    """
    with atomic_folder(out) as partial:
        if best is None:
            return
        told = {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(best).items()}
        shutil.copyfile(best.trial.within(models, best.name) / "model.safetensors", partial / "model.safetensors")
        (partial / "best.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
