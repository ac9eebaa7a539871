"""The trained model to keep, chosen on validation speakers only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cfnsr.data.jobs import VALIDATION, JobPaths, JobRecord, read_predictions
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Speakers, Trial
from cfnsr.inference.card import Card
from cfnsr.report import significance
from cfnsr.runtime.outputs import atomic_folder

_SELECTED = "selected"  # predictions of the test speakers at the selected epoch
_Correct = pd.Series  # of each clip, whether it is predicted correctly
_OfTrials = Mapping[Trial, _Correct]


@dataclass(frozen=True)
class BestModel:
    """A trained model, and the figures by which it was chosen, from 0 to 1.

    Attributes:
        name: the system, or the single modality.
        trial: the fold and the seed.
        validation_accuracy: of the system, on the validation speakers of all folds and seeds.
        validation_accuracy_of_fold: of this model, on its own validation speakers.
        candidates: how many systems it was chosen from.
        optimism: by how much the system's test accuracy is too high, because it was chosen; see
            ``significance.selection_optimism``.
    """

    name: str
    trial: Trial
    validation_accuracy: float
    validation_accuracy_of_fold: float
    candidates: int = 1
    optimism: float = 0.0


def choose(folder: Path, manifest: Manifest, trials: Mapping[str, list[Trial]]) -> BestModel | None:
    """Choose the system with the highest validation accuracy, and its model with the highest.

    A fold's test speakers have no part in the choice of its epochs. But they are validation speakers of another fold,
    and so have a part in the choice of the system: ``optimism`` says how much. Of equals, the first is chosen.

    Args:
        folder: of the corpus, with ``jobs``.
        manifest: of the corpus, with the speakers of each fold.
        trials: folds and seeds, by system.

    Returns:
        The best model; None if no system has validation predictions.

    Raises:
        CfnsrError: a file is missing or damaged, or of other speakers than the fold's.
    """
    correct = {
        name: {trial: _correct(JobPaths.of(folder, name, trial), manifest.speakers(trial)) for trial in of_name}
        for name, of_name in trials.items()
    }
    validated = {
        name: {trial: part[VALIDATION] for trial, part in parts.items()}
        for name, parts in correct.items()
        if all(VALIDATION in part for part in parts.values())
    }
    if not validated:
        return None
    of_system = {name: float(pd.concat(list(parts.values())).mean()) for name, parts in validated.items()}
    name = max(of_system, key=lambda candidate: of_system[candidate])
    of_fold = {trial: float(part.mean()) for trial, part in validated[name].items()}
    trial = max(of_fold, key=lambda candidate: of_fold[candidate])
    tested = {name: {trial: part[_SELECTED] for trial, part in correct[name].items()} for name in validated}
    return BestModel(name, trial, of_system[name], of_fold[trial], len(validated), _optimism(validated, tested))


def _optimism(validated: Mapping[str, _OfTrials], tested: Mapping[str, _OfTrials]) -> float:
    """Estimate the optimism of the choice, over the speakers who validate and test."""
    of_speaker = [
        pd.DataFrame(
            {name: pd.concat(list(parts.values())).groupby(level="actor").mean() for name, parts in of.items()}
        )
        for of in (validated, tested)
    ]
    clips = pd.concat(list(next(iter(tested.values())).values())).groupby(level="actor").size()
    speakers = of_speaker[0].dropna().index.intersection(of_speaker[1].dropna().index)
    shares = [table.loc[speakers].to_numpy(np.float64).T for table in of_speaker]
    return significance.selection_optimism(shares[0], shares[1], clips[speakers].to_numpy(np.float64))


def write(out: Path, best: BestModel | None, folder: Path, card: Card | None) -> None:
    """Copy the model and what lies beside it into ``out``; write its figures into ``best.json``, and its card.

    Args:
        out: the folder to write; left empty if there is no best.
        best: from ``choose``.
        folder: of the corpus, with ``models``.
        card: of the best model.
    """
    with atomic_folder(out) as partial:
        if best is None or card is None:
            return
        for path in sorted(JobPaths.of(folder, best.name, best.trial).model.iterdir()):
            shutil.copyfile(path, partial / path.name)
        figures = {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(best).items()}
        (partial / "best.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        card.write(partial)


def _correct(paths: JobPaths, speakers: Speakers) -> dict[str, _Correct]:
    """Compare label and prediction of each clip, by choice; the index is the speaker."""
    speakers.require(JobRecord.read(paths.record).speakers, paths.record)
    table = read_predictions(paths.predictions, ["actor"], speakers).set_index("actor")
    is_correct = table["label"] == table["predicted"]
    return {choice: is_correct.loc[table["choice"] == choice] for choice in table["choice"].unique()}
