"""Batches of named arrays."""

from __future__ import annotations

import torch

from cfnsr.models.types import Batch

BATCH = Batch({"mel": torch.zeros(3, 4, 5), "energy": torch.ones(3, 5)}, torch.tensor([0, 2, 1]))


def test_arrays_are_read_by_name() -> None:
    assert torch.equal(BATCH["energy"], torch.ones(3, 5))
    assert len(BATCH) == 3


def test_replace_leaves_the_original_alone() -> None:
    replaced = BATCH.replace(mel=torch.ones(3, 4, 5))
    assert replaced["mel"].all() and not BATCH["mel"].any()
    assert replaced["energy"] is BATCH["energy"] and replaced.label is BATCH.label


def test_all_tensors_move_to_the_device() -> None:
    moved = BATCH.to(torch.device("meta"))
    assert {tensor.device.type for tensor in [*moved.arrays.values(), moved.label]} == {"meta"}
    assert list(moved.arrays) == ["mel", "energy"]
