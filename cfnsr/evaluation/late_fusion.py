"""Combine the predictions of two rows in one fold, without training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from cfnsr.data.dataset import Clips, FoldDatasets
from cfnsr.data.jobs import CHOICES, VALIDATION, read_predictions
from cfnsr.errors import CfnsrError
from cfnsr.evaluation.outputs import from_table
from cfnsr.evaluation.predict import LogProbabilities


def combine(
    network: nn.Module, datasets: FoldDatasets, labels: list[str], video: Path, audio: Path
) -> dict[str, LogProbabilities]:
    """Combine the unimodal predictions of each choice of the epoch.

    Args:
        network: a system with ``combine(video_log_probs, audio_log_probs)``.
        datasets: the clips that the predictions must be of.
        labels: the emotions in the order of their class index.
        video, audio: the tables of unimodal predictions.

    Returns:
        Log-probabilities by choice; ``without_video`` and ``without_audio`` combine with a uniform prediction. An
        imported unimodal network has one epoch and no validation predictions, so that other choices are left out.

    Raises:
        CfnsrError: the system trains; or a table is missing, damaged or of other clips or speakers.
    """
    system: Any = network
    if system.trains:
        raise CfnsrError("run.combine", "contains a system that trains", "Move it to run.train")
    choices: dict[str, LogProbabilities] = {}
    for choice, (first, second) in _common_choices(datasets, labels, video, audio):
        of_video, of_audio = torch.from_numpy(first), torch.from_numpy(second)
        choices[choice] = system.combine(of_video, of_audio).numpy()
        if choice == "selected":
            uniform = torch.full_like(of_video, -math.log(len(labels)))
            choices["without_video"] = system.combine(uniform, of_audio).numpy()
            choices["without_audio"] = system.combine(of_video, uniform).numpy()
    return choices


def fuse(
    rule: Callable[[Tensor, Tensor], Tensor], datasets: FoldDatasets, labels: list[str], first: Path, second: Path
) -> dict[str, LogProbabilities]:
    """Combine the predictions of any two rows, for each choice of the epoch that both have.

    Args:
        rule: combines two tables of log-probabilities, "clip classes".
        datasets: the clips that the predictions must be of.
        labels: the emotions in the order of their class index.
        first, second: the tables of predictions.

    Raises:
        CfnsrError: a table is missing, damaged or of other clips or speakers.
    """
    return {
        choice: rule(*(torch.from_numpy(predicted) for predicted in both)).numpy()
        for choice, both in _common_choices(datasets, labels, first, second)
    }


def _common_choices(
    datasets: FoldDatasets, labels: list[str], *paths: Path
) -> Iterator[tuple[str, list[LogProbabilities]]]:
    """Yield each choice that all tables have, with the predictions of each table."""
    tables = {path: read_predictions(path, ["actor", "clip"], datasets.speakers, labels) for path in paths}
    for choice in (*CHOICES, VALIDATION):
        if all(choice in set(table["choice"]) for table in tables.values()):
            clips = datasets.selection_split if choice == VALIDATION else datasets.test
            yield choice, [_predictions(path, table, choice, clips, labels) for path, table in tables.items()]


def _predictions(path: Path, table: pd.DataFrame, choice: str, clips: Clips, labels: list[str]) -> LogProbabilities:
    """Return one choice of a table, and check that it is of these clips."""
    keys = ["actor", "clip"]
    if table.loc[table["choice"] == choice, keys].to_numpy().tolist() != clips.index[keys].to_numpy().tolist():
        problem = f"its {choice} predictions are of other clips than the fold's"
        raise CfnsrError(path, problem, "Run `dvc repro` without `-s`, which makes it again")
    return from_table(table, labels, choice)
