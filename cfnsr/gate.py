"""The gate's file: what the checks before training found fit, and who is tested when.

Every training cell reads speakers, labels and preprocessing from the file written here, not from
params.yaml: what it trains on has then been checked.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cfnsr.atomic import atomic_file
from cfnsr.errors import CfnsrError
from cfnsr.folds import Speakers


@dataclass(frozen=True)
class Gate:
    """What has been checked.

    Attributes:
        corpus: its name.
        labels: the emotions in the order of their class index.
        protocol: how an epoch is chosen.
        folds: the three sets of speakers of each fold.
        clips: how many each speaker has.
        skipped: by ``actor/clip``, why it could not be used; it counts in no other figure.
        preprocessing: how the shards were made; goes into every saved model.
        shapes: of one clip's ``frames``, ``mel`` and ``mfcc``.
        fingerprint: md5 over preprocessing, and speaker, label and source file of all clips; names the data
            in every result.
    """

    corpus: str
    labels: list[str]
    protocol: str
    folds: dict[str, Speakers]
    clips: dict[str, int]
    skipped: dict[str, str]
    preprocessing: dict[str, Any]
    shapes: dict[str, list[int]]
    fingerprint: str

    def write(self, path: Path) -> None:
        with atomic_file(path) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Gate:
        """Read what ``write`` wrote; the sets of speakers are proved disjoint once more.

        Raises:
            CfnsrError: it is not such a file, or a speaker stands in two sets of a fold.
        """
        try:
            return cls._from(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CfnsrError(path, f"is not a gate's file ({error})", "Run `dvc repro check`") from error

    @classmethod
    def _from(cls, values: dict[str, Any]) -> Gate:
        folds = {
            name: Speakers(*(tuple(sets[role]) for role in ("test", "validation", "train")))
            for name, sets in values.pop("folds").items()
        }
        return cls(folds=folds, **values)

    def speakers(self, fold: str) -> Speakers:
        """The three sets of one fold."""
        if fold not in self.folds:
            raise CfnsrError("folds", f"no fold {fold!r}; there are {', '.join(self.folds)}", "Run `dvc repro check`")
        return self.folds[fold]
