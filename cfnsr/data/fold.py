"""The clips of one trial: whom it tests, by whom it chooses, from whom it learns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cfnsr.data.dataset import Clips
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError


@dataclass(frozen=True)
class FoldDatasets:
    """One trial's clips.

    Attributes:
        trial: protocol, fold and seed.
        test: measure the result.
        validation: choose the epoch; none under ``published``, where ``test`` does.
        train: teach.

    Raises:
        CfnsrError: a recording stands in two of them.
    """

    trial: Trial
    test: Clips
    validation: Clips | None
    train: Clips

    def __post_init__(self) -> None:
        sets = {"test": self.test, "validation": self.validation, "train": self.train}
        owner: dict[str, str] = {}
        for name, clips in sets.items():
            for clip, recording in zip(clips.index["clip"], clips.index["source_md5"], strict=True) if clips else ():
                if owner.setdefault(recording, name) != name:
                    raise CfnsrError(
                        f"{self.trial.fold}, clip {clip}",
                        f"its recording stands among the clips to {name} and to {owner[recording]}",
                        "Remove one of the two, and run `dvc repro`",
                    )

    @classmethod
    def open(cls, trial: Trial, shards: Path, manifest: Manifest) -> FoldDatasets:
        sets = manifest.speakers(trial)
        test, validation, train = (
            Clips(shards, list(actors), manifest.labels) if actors else None
            for actors in (sets.test, sets.validation, sets.train)
        )
        assert test is not None and train is not None
        return cls(trial, test, validation, train)

    @property
    def selection_split(self) -> Clips:
        """The clips that choose the epoch."""
        return self.test if self.validation is None else self.validation
