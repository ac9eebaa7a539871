"""A cell whose system trains nothing: it combines the unimodal predictions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from cfnsr.data.dataset import Clips
from cfnsr.errors import CfnsrError
from cfnsr.evaluation import predict
from cfnsr.evaluation.outputs import CHOICES, VALIDATION, Job
from cfnsr.evaluation.predict import LogProbabilities
from cfnsr.models import checkpoint
from cfnsr.runtime.outputs import atomic_folder


def combine(cell: Job, unimodal: Path) -> None:
    """The cell of a system that trains nothing: it combines the unimodal predictions of the same fold.

    Args:
        cell: its network offers ``combine(video, audio)`` of log-probabilities; no curves but empty ones are written.
        unimodal: folder of the unimodal cells' predictions. Each way of selection_split the epoch is combined with
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
        clips = cell.fold.selection_split if choice == VALIDATION else cell.fold.test
        parts = [
            torch.from_numpy(_predicted(path, table, choice, clips, cell))
            for path, table in zip(paths, tables, strict=True)
        ]
        choices[choice] = combined(*parts).numpy()
        if choice == "selected":
            uniform = torch.full_like(parts[0], -math.log(len(cell.manifest.labels)))
            choices["without_video"] = combined(uniform, parts[1]).numpy()
            choices["without_audio"] = combined(parts[0], uniform).numpy()
    with atomic_folder(cell.places.curves):
        pass
    cell.write(choices, epochs=0, selected_epoch=0, best_test_epoch=0)


def _predicted(path: Path, table: pd.DataFrame, choice: str, clips: Clips, cell: Job) -> LogProbabilities:
    shown = table.loc[table["choice"] == choice]
    theirs, ours = ([one["actor"].tolist(), one["clip"].tolist()] for one in (shown, clips.index))
    if theirs != ours:
        raise CfnsrError(
            path,
            f"predictions of other clips than those of {cell.fold.trial.fold} under {cell.fold.trial.protocol}",
            "Run `dvc repro pretrain evaluate`",
        )
    return predict.untable(table, cell.manifest.labels, choice)
