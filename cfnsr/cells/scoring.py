"""A cell whose network was trained elsewhere."""

from __future__ import annotations

import torch

from cfnsr.atomic import atomic_folder
from cfnsr.cells import Cell
from cfnsr.cells.looks import Looks


def score(cell: Cell, *, batch_size: int, place: torch.device) -> None:
    """What an imported network predicts of the test speakers, and no curves.

    Args:
        cell: its network is evaluated as it is; there is no other epoch to show beside.
        batch_size: clips at a time.
        place: the device to evaluate on.
    """
    looks = Looks(cell, batch_size, place)
    choices = {"selected": looks.at(cell.fold.test)(cell.network), **looks.without_each_modality()}
    with atomic_folder(cell.places.curves):
        pass
    cell.write(choices, looks.attention(), epochs=0, selected_epoch=0, optimistic_epoch=0)
