"""Shards -> the clips of a set of speakers -> batches; augmentation with one set of values a clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cfnsr import shards
from cfnsr.batch import Batch


class Move(NamedTuple):
    """What is done to all frames of a clip: mirrored first, then shifted by whole pixels."""

    mirrored: bool
    down: int
    right: int


_STILL = Move(mirrored=False, down=0, right=0)


class Clips(Dataset[Batch]):
    """The clips of some speakers, read from their shards when asked for.

    Args:
        folder: holds one shard a speaker.
        actors: whose clips.
        labels: the emotions in the order of their class index.

    Attributes:
        index: one row a clip, speaker after speaker.
        classes: the class index of each clip.
    """

    def __init__(self, folder: Path, actors: list[str], labels: list[str]) -> None:
        self._shards = [shards.read(folder / actor) for actor in actors]
        self._at = [(shard, row) for shard in self._shards for row in range(len(shard.index))]
        self.index = pd.concat([shard.index for shard in self._shards], ignore_index=True)
        self.classes = np.array([labels.index(label) for label in self.index["label"]])

    def __len__(self) -> int:
        return len(self._at)

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of the frames."""
        height, width = self._shards[0].frames.shape[2:4]
        return height, width

    def __getitem__(self, position: int) -> Batch:
        return Batch(*(values[0] for values in self.batch([position], [_STILL])))

    def __getitems__(self, positions: list[int]) -> Batch:
        """A whole batch at once; the loader asks for it where it finds this."""
        return self.batch(positions, [_STILL] * len(positions))

    def batch(self, positions: list[int], moves: list[Move]) -> Batch:
        """Some clips, each copied once: from the file's pages to its place in the batch, moved on the way."""
        of_clip = [self._at[position] for position in positions]
        first, _ = of_clip[0]
        frames, mel, mfcc = (
            np.empty((len(of_clip), *array.shape[1:]), array.dtype) for array in (first.frames, first.mel, first.mfcc)
        )
        for slot, ((shard, row), move) in enumerate(zip(of_clip, moves, strict=True)):
            place(frames[slot], shard.frames[row], move)
            mel[slot], mfcc[slot] = shard.mel[row], shard.mfcc[row]
        return Batch(*map(torch.from_numpy, (frames, mel, mfcc)), label=torch.from_numpy(self.classes[positions]))


class Augmented(Dataset[Batch]):
    """Clips, each mirrored and shifted as a whole; a frame is never treated apart from its clip.

    Args:
        clips: the clips as they are.
        flip: probability that a clip is mirrored.
        shift: largest shift of the picture, as a share of its side; the edge repeats.
        generator: where chance comes from.
    """

    def __init__(self, clips: Clips, *, flip: float, shift: float, generator: torch.Generator) -> None:
        self._clips, self._flip, self._shift, self._generator = clips, flip, shift, generator

    def __len__(self) -> int:
        return len(self._clips)

    def __getitems__(self, positions: list[int]) -> Batch:
        """A whole batch at once, each clip with a move of its own."""
        return self._clips.batch(positions, [self._move() for _ in positions])

    def _move(self) -> Move:
        mirrored, down, right = torch.rand(3, generator=self._generator).tolist()
        height, width = self._clips.size_px
        return Move(
            mirrored < self._flip,
            round((2 * down - 1) * self._shift * height),
            round((2 * right - 1) * self._shift * width),
        )


def place(
    out: UInt8[np.ndarray, "time height width 3"], frames: UInt8[np.ndarray, "time height width 3"], move: Move
) -> None:
    """Copy frames to ``out``, moved; past their edge, the edge repeats. A shift is shorter than the picture."""
    # A pixel's three bytes as one item: numpy copies them mirrored twice as fast.
    out, frames = (array.view("V3")[..., 0] for array in (out, np.ascontiguousarray(frames)))
    if move.mirrored:
        frames = frames[:, :, ::-1]
    height, width = frames.shape[1:]
    down, right = move.down, move.right
    top, left, bottom, end = max(down, 0), max(right, 0), height + min(down, 0), width + min(right, 0)
    out[:, top:bottom, left:end] = frames[:, top - down : bottom - down, left - right : end - right]
    out[:, top:bottom, :left] = out[:, top:bottom, left : left + 1]
    out[:, top:bottom, end:] = out[:, top:bottom, end - 1 : end]
    out[:, :top] = out[:, top : top + 1]
    out[:, bottom:] = out[:, bottom - 1 : bottom]


def in_order(clips: Clips, batch_size: int) -> DataLoader[Batch]:
    """Every clip once, in the order of the index.

    With a generator of its own: a loader draws from torch's at each pass, and how often one looks at the test
    speakers would change the weights that are trained in between.
    """
    return DataLoader(clips, batch_size=batch_size, generator=torch.Generator(), collate_fn=_as_it_is)


def shuffled(clips: Clips, batch_size: int, *, flip: float, shift: float, seed: int) -> DataLoader[Batch]:
    """Training batches in an order drawn anew each epoch.

    A last batch of a single clip is left out of its epoch: batch normalisation cannot learn from it.
    """
    generator = torch.Generator().manual_seed(seed)
    augmented = Augmented(clips, flip=flip, shift=shift, generator=generator)
    return DataLoader(
        augmented,
        batch_size=batch_size,
        shuffle=True,
        generator=generator,
        collate_fn=_as_it_is,
        drop_last=len(clips) % batch_size == 1 and len(clips) > 1,
    )


def _as_it_is(batch: Any) -> Any:
    """The data sets above hand out whole batches."""
    return batch


def normalised(
    frames: UInt8[Tensor, "batch time height width 3"], mean: Float[Tensor, " 3"], deviation: Float[Tensor, " 3"]
) -> Float[Tensor, "batch 3 time height width"]:
    """Frames as the video encoder takes them, on the device they are on: zero mean, unit deviation, channels first.

    No value moves: channels stay innermost in memory, the layout in which 3D convolutions are fastest.
    """
    return ((frames - mean) / deviation).permute(0, 4, 1, 2, 3)
