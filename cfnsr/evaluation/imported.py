"""A cell whose network was trained elsewhere."""

from __future__ import annotations

import torch

from cfnsr.evaluation.outputs import Job
from cfnsr.evaluation.predictor import Predictor
from cfnsr.runtime.outputs import atomic_folder


def score(cell: Job, *, batch_size: int, place: torch.device) -> None:
    """What an imported network predicts of the test speakers, and no curves.

    Args:
        cell: its network is evaluated as it is; there is no other epoch to show beside.
        batch_size: clips at a time.
        place: the device to evaluate on.
    """
    looks = Predictor(cell, batch_size, place)
    choices = {"selected": looks.at(cell.fold.test)(cell.network), **looks.without_each_modality()}
    with atomic_folder(cell.places.curves):
        pass
    cell.write(choices, looks.attention(), epochs=0, selected_epoch=0, best_test_epoch=0)
