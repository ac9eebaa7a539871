"""Shards -> the clips of a set of speakers -> batches; augmentation with one set of values a clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cfnsr import shards
from cfnsr.batch import Batch


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

    def __getitem__(self, position: int) -> Batch:
        shard, row = self._at[position]
        # np.array copies out of the read-only map: torch warns of tensors it must not write to.
        return Batch(
            *(torch.from_numpy(np.array(array[row])) for array in (shard.frames, shard.mel, shard.mfcc)),
            label=torch.tensor(self.classes[position]),
        )


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

    def __getitem__(self, position: int) -> Batch:
        clip = self._clips[position]
        mirrored, down, right = torch.rand(3, generator=self._generator).tolist()
        frames = clip.frames.flip(2) if mirrored < self._flip else clip.frames
        return clip._replace(frames=_shifted(frames, (2 * down - 1) * self._shift, (2 * right - 1) * self._shift))


def _shifted(
    frames: UInt8[Tensor, "time height width 3"], down: float, right: float
) -> UInt8[Tensor, "time height width 3"]:
    height, width = frames.shape[1:3]
    rows = (torch.arange(height) - round(down * height)).clamp(0, height - 1)
    columns = (torch.arange(width) - round(right * width)).clamp(0, width - 1)
    return frames[:, rows][:, :, columns]


def in_order(clips: Clips, batch_size: int) -> DataLoader[Batch]:
    """Every clip once, in the order of the index.

    With a generator of its own: a loader draws from torch's at each pass, and how often one looks at the test
    speakers would change the weights that are trained in between.
    """
    return DataLoader(clips, batch_size=batch_size, generator=torch.Generator())


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
        drop_last=len(clips) % batch_size == 1 and len(clips) > 1,
    )


def normalised(
    frames: UInt8[Tensor, "batch time height width 3"], mean: Float[Tensor, " 3"], deviation: Float[Tensor, " 3"]
) -> Float[Tensor, "batch 3 time height width"]:
    """Frames as the video encoder takes them, on the device they are on: zero mean, unit deviation, channels first.

    No value moves: channels stay innermost in memory, the layout in which 3D convolutions are fastest.
    """
    return ((frames - mean) / deviation).permute(0, 4, 1, 2, 3)
