"""Load clips from shards in batches.

torch is imported when a batch is loaded: a stage that needs the clips' index alone starts in half the time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cfnsr.data import shards
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Speakers, Trial
from cfnsr.data.stored_array import StoredArray
from cfnsr.errors import CfnsrError
from cfnsr.runtime import stored
from cfnsr.runtime.checksum import of_arrays

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from cfnsr.models.types import Batch


class Clips:
    """The clips of some speakers, read from their shards when they are needed.

    Args:
        folder: holds one shard a speaker.
        speakers: the speakers, whose clips follow each other.
        labels: the emotions in the order of their class index.
        modalities: of the corpus, which decide the arrays.
        checksums: of the arrays, by speaker; compared when a speaker's first clip is read. Without them nothing is.

    Attributes:
        index: one row a clip, in the order of ``speakers``.
        classes: the class index of each clip.
        speakers, labels: as given.

    Raises:
        CfnsrError: a shard is missing, holds a clip of another speaker, or a label that is not among ``labels``.
    """

    def __init__(
        self,
        folder: Path,
        speakers: list[str],
        labels: list[str],
        modalities: Collection[str] = shards.BOTH,
        checksums: Mapping[str, str] | None = None,
    ) -> None:
        self.speakers, self.labels = speakers, labels
        self._arrays = shards.array_names(modalities)
        self._folder, self._modalities = folder, modalities
        self._unread = {} if checksums is None else {speaker: checksums.get(speaker, "") for speaker in speakers}
        self._rows: list[tuple[Mapping[str, StoredArray | np.ndarray], int]] = []
        indices = []
        for speaker in speakers:
            shard = _open(folder / speaker, modalities)
            # Mapped arrays would keep a file descriptor each, and 1,024 of them are a usual limit.
            arrays = {name: StoredArray.of(array) for name, array in shard.arrays.items()}
            self._rows += [(arrays, row) for row in range(len(shard.index))]
            indices.append(shard.index)
        self.index = pd.concat(indices, ignore_index=True)
        unknown = sorted({*self.index["label"]} - {*labels})
        if unknown:
            raise CfnsrError(folder, f"labels {', '.join(unknown)} are not known", stored.AGAIN)
        self.classes = np.array([labels.index(label) for label in self.index["label"]])

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> Clips:
        """Return the same clips with other arrays, whose row ``i`` belongs to row ``i`` of ``index``."""
        clips = copy(self)
        clips._arrays, clips._unread = list(arrays), {}
        clips._rows = [(dict(arrays), row) for row in range(len(self))]
        return clips

    def reading(self, modalities: Collection[str]) -> Clips:
        """Return the same clips without the shards' arrays of other modalities, which a network would not read."""
        clips, kept = copy(self), shards.array_names(modalities)
        clips._arrays = [name for name in self._arrays if name not in shards.ARRAYS or name in kept]
        return clips

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: list[int]) -> Batch:
        """Return a batch; each clip is read from its file straight into the batch.

        Raises:
            CfnsrError: the arrays of a speaker are not those that were checked, or end early.
        """
        import torch

        from cfnsr.models.types import Batch

        for speaker in {*self.index["actor"].iloc[positions]} & self._unread.keys() if self._unread else ():
            self._compare(speaker)
        rows = [self._rows[position] for position in positions]
        arrays = {name: _stack([(arrays[name], row) for arrays, row in rows]) for name in self._arrays}
        return Batch(
            {name: torch.from_numpy(array) for name, array in arrays.items()},
            torch.from_numpy(self.classes[positions]),
        )

    def _compare(self, speaker: str) -> None:
        """Compare a speaker's arrays with the checksum of the manifest: a damaged disk or a power cut changes bytes."""
        arrays = shards.read(self._folder / speaker, self._modalities).arrays
        if of_arrays(arrays.values()) != self._unread.pop(speaker):
            problem = "its arrays are not those that were checked: they are damaged, or made again since"
            raise CfnsrError(self._folder / speaker, problem, stored.AGAIN)


def _stack(rows: Sequence[tuple[StoredArray | np.ndarray, int]]) -> np.ndarray:
    """Stack rows of arrays of one shape and type."""
    first = rows[0][0]
    stacked = np.empty((len(rows), *first.shape[1:]), first.dtype)
    for out, (array, row) in zip(stacked, rows, strict=True):
        if isinstance(array, StoredArray):
            array.read(row, out)
        else:
            out[...] = array[row]
    return stacked


def _open(path: Path, modalities: Collection[str]) -> shards.Shard:
    """Open one speaker's shard, and check that it holds clips of that speaker only."""
    shard = shards.read(path, modalities)
    others = sorted({*shard.index["actor"]} - {path.name})
    if others:
        raise CfnsrError(path, f"contains clips of speaker {', '.join(others)}", stored.AGAIN)
    return shard


@dataclass(frozen=True)
class FoldDatasets:
    """The clips of one trial.

    Attributes:
        trial: protocol, fold and seed.
        test: clips that the result is measured on.
        validation: clips that select the epoch; None under ``test_selected``.
        train: clips that the weights are fitted to.

    Raises:
        CfnsrError: two of the sets contain the same recording.
    """

    trial: Trial
    test: Clips
    validation: Clips | None
    train: Clips

    def __post_init__(self) -> None:
        sets = {"test": self.test, "validation": self.validation, "training": self.train}
        owner: dict[str, str] = {}
        for name, clips in sets.items():
            for clip, recording in zip(clips.index["clip"], clips.index["source_md5"], strict=True) if clips else ():
                if owner.setdefault(recording, name) != name:
                    raise CfnsrError(
                        f"{self.trial.fold}, clip {clip}",
                        f"its recording is in the {name} set and in the {owner[recording]} set",
                        "Remove one of the two clips, and run `dvc repro`",
                    )

    @classmethod
    def open(cls, trial: Trial, folder: Path, manifest: Manifest) -> FoldDatasets:
        """Open the clips of a trial; ``folder`` holds one shard a speaker."""
        speakers = manifest.speakers(trial)

        def of(names: Sequence[str]) -> Clips:
            return Clips(folder, list(names), manifest.labels, manifest.modalities, manifest.arrays)

        validation = of(speakers.validation) if speakers.validation else None
        return cls(trial, of(speakers.test), validation, of(speakers.train))

    def reading(self, modalities: Collection[str]) -> FoldDatasets:
        """Return the same sets; see ``Clips.reading``."""
        sets = {"test": self.test, "validation": self.validation, "train": self.train}
        return replace(self, **{name: clips.reading(modalities) for name, clips in sets.items() if clips is not None})

    @property
    def speakers(self) -> Speakers:
        """Return the speakers of each set."""
        sets = (self.test, self.validation, self.train)
        return Speakers(*(tuple(clips.speakers if clips else ()) for clips in sets))

    @property
    def selection_split(self) -> Clips:
        """Return the clips that select the epoch."""
        return self.test if self.validation is None else self.validation


def in_order(clips: Clips, batch_size: int, *, rank: int = 0, world_size: int = 1) -> DataLoader[Batch]:
    """Return a loader of every clip once, in the order of the index; of several processes each loads its share."""
    return _loader(clips, _batches(range(rank, len(clips), world_size), batch_size))


def shuffled(
    clips: Clips, batch_size: int, *, seed: int, epoch: int, rank: int = 0, world_size: int = 1
) -> DataLoader[Batch]:
    """Return a loader of one epoch's training batches, in an order that depends on seed and epoch alone.

    Batch normalisation needs two clips or more: a shorter last batch is left out where a process would get fewer.

    Args:
        clips: of the training speakers.
        batch_size: of the whole batch, which is shared out among the processes.
        seed: of the trial.
        epoch: its number.
        rank: of this process.
        world_size: number of processes.

    Raises:
        CfnsrError: a process would get fewer than two clips of every batch.
    """
    batches = _batches(np.random.default_rng([seed, epoch]).permutation(len(clips)).tolist(), batch_size)
    if len(batches) > 1 and len(batches[-1]) < min(batch_size, 2 * world_size):
        batches.pop()
    if world_size > 1 and len(batches[0]) < 2 * world_size:
        problem = f"a batch of {len(batches[0])} clips gives {world_size} processes fewer than two clips each"
        raise CfnsrError("train.devices", problem, "Use fewer devices, or a larger batch_size")
    return _loader(clips, [batch[rank::world_size] for batch in batches])


def _batches(positions: Sequence[int], batch_size: int) -> list[list[int]]:
    """Cut positions into batches."""
    return [list(positions[start : start + batch_size]) for start in range(0, len(positions), batch_size)]


def _loader(clips: Clips, batches: list[list[int]]) -> DataLoader[Batch]:
    """Return a loader of given batches, with a random generator of its own.

    It draws a number at each pass: from torch's generator, evaluations would change the weights trained in between.
    """
    import torch
    from torch.utils.data import DataLoader

    dataset: Any = clips  # has what torch asks of a Dataset, and is none because torch may not be loaded
    return DataLoader(dataset, batch_sampler=batches, generator=torch.Generator(), collate_fn=lambda batch: batch)
