"""Shards -> the clips of a set of speakers -> batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Num
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cfnsr.data import shards, stored
from cfnsr.data.stored import Rows
from cfnsr.errors import CfnsrError
from cfnsr.models.types import Batch, Share


class Clips(Dataset[Batch]):
    """The clips of some speakers, read from their shards when asked for, be they on this machine or in DVC's store.

    Args:
        folder: holds one shard a speaker.
        actors: whose clips.
        labels: the emotions in the order of their class index.

    Attributes:
        index: one row a clip, speaker after speaker.
        classes: the class index of each clip.
        labels: as given.

    Raises:
        CfnsrError: a shard holds a clip of another speaker, or a label that is not among ``labels``.
    """

    def __init__(self, folder: Path, actors: list[str], labels: list[str]) -> None:
        self.labels = labels
        self._shards = [_of_one_speaker(folder / actor) for actor in actors]
        self._at = [(shard, row) for shard in self._shards for row in range(len(shard.index))]
        self.index = pd.concat([shard.index for shard in self._shards], ignore_index=True)
        unknown = sorted({*self.index["label"]} - {*labels})
        if unknown:
            raise CfnsrError(folder, f"labels {', '.join(unknown)} are not known", "Run `dvc repro check`")
        self.classes = np.array([labels.index(label) for label in self.index["label"]])

    def __len__(self) -> int:
        return len(self._at)

    def __getitem__(self, position: int) -> Batch:
        return Batch(*(values[0] for values in self.__getitems__([position])))

    def __getitems__(self, positions: list[int]) -> Batch:
        """A whole batch, each clip copied once, from the file's pages to its place; the loader asks for it."""
        of_clip = [self._at[position] for position in positions]
        first, _ = of_clip[0]
        frames, mel, mfcc = (
            np.empty((len(of_clip), *array.shape[1:]), array.dtype) for array in (first.frames, first.mel, first.mfcc)
        )
        for name, batch in (("frames", frames), ("mel", mel), ("mfcc", mfcc)):
            _fill(batch, [(getattr(shard, name), row) for shard, row in of_clip])
        return Batch(*map(torch.from_numpy, (frames, mel, mfcc)), label=torch.from_numpy(self.classes[positions]))


def _fill(batch: np.ndarray, clips: list[tuple[np.ndarray | Rows, int]]) -> None:
    """Copy each clip's row of an array to its place."""
    elsewhere = [(slot, values, row) for slot, (values, row) in enumerate(clips) if isinstance(values, Rows)]
    for slot, (values, row) in enumerate(clips):
        if not isinstance(values, Rows):
            batch[slot] = values[row]
    if elsewhere:  # asked for together, as each alone takes a store's time to answer
        found = stored.fetch([(values, row) for _, values, row in elsewhere])
        for (slot, _, _), value in zip(elsewhere, found, strict=True):
            batch[slot] = value


def _of_one_speaker(path: Path) -> shards.Shard | stored.Stored:
    shard = None if path.exists() else stored.find(path)
    if shard is None:
        shard = shards.read(path)
    strange = sorted({*shard.index["actor"]} - {path.name})
    if strange:
        raise CfnsrError(path, f"holds clips of speaker {', '.join(strange)}", "Run `dvc repro extract`")
    return shard


def in_order(clips: Clips, batch_size: int) -> DataLoader[Batch]:
    """Every clip once, in the order of the index.

    With a generator of its own: a loader draws from torch's at each pass, and how often one looks at the test
    speakers would change the weights that are trained in between.
    """
    return DataLoader(clips, batch_size=batch_size, generator=torch.Generator(), collate_fn=_as_it_is)


class _Dealt(Dataset[Share]):
    """Training clips, of each batch the share of one process."""

    def __init__(self, clips: Clips, rank: int, count: int) -> None:
        self._clips, self._rank, self._count = clips, rank, count

    def __len__(self) -> int:
        return len(self._clips)

    def __getitems__(self, positions: list[int]) -> Share:
        hands = dealt(positions, self._count)
        mine = hands[self._rank % len(hands)]
        whole = torch.from_numpy(self._clips.classes[positions])
        return Share(self._clips.__getitems__(mine), whole, idle=self._rank >= len(hands))


def dealt(positions: list[int], count: int) -> list[list[int]]:
    """A batch dealt to processes, to as many as get two clips or more: normalisation cannot learn from a single one."""
    hands = max(1, min(count, len(positions) // 2))
    return [positions[hand::hands] for hand in range(hands)]


def shuffled(clips: Clips, batch_size: int, *, seed: int, rank: int = 0, count: int = 1) -> DataLoader[Share]:
    """Training batches in an order drawn anew each epoch; of each the share of one process.

    A last batch of a single clip is left out of its epoch: batch normalisation cannot learn from it.

    Args:
        clips: of the training speakers.
        batch_size: of the whole batch.
        seed: of the order, the same in every process.
        rank, count: which process, of how many.
    """
    return DataLoader(
        _Dealt(clips, rank, count),
        batch_size=batch_size,
        shuffle=True,
        generator=torch.Generator().manual_seed(seed),
        collate_fn=_as_it_is,
        drop_last=len(clips) % batch_size == 1 and len(clips) > 1,
    )


def _as_it_is(batch: Any) -> Any:
    """The data sets above hand out whole batches."""
    return batch


def normalised(
    frames: Num[Tensor, "batch time height width 3"], mean: Float[Tensor, " 3"], deviation: Float[Tensor, " 3"]
) -> Float[Tensor, "batch 3 time height width"]:
    """Frames as the video encoder takes them, on the device they are on: zero mean, unit deviation, channels first.

    No value moves: channels stay innermost in memory, the layout in which 3D convolutions are fastest.
    """
    return ((frames - mean) / deviation).permute(0, 4, 1, 2, 3)
