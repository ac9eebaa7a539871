"""The manifest: what the checks before training found fit, and who is tested when.

Every training cell reads speakers, labels and preprocessing from the file written here, not from
params.yaml: what it trains on has then been checked.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cfnsr.data.splits import PROTOCOLS, Speakers, Trial, proved
from cfnsr.errors import CfnsrError
from cfnsr.runtime.outputs import atomic_file


@dataclass(frozen=True)
class Manifest:
    """What has been checked.

    Attributes:
        corpus: its name.
        labels: the emotions in the order of their class index.
        protocols: the sets of speakers of each fold, by protocol.
        clips: how many each speaker has.
        skipped: by ``actor/clip``, why it could not be used; it counts in no other figure.
        preprocessing: how the shards were made; goes into every saved model.
        shapes: of one clip's ``frames``, ``mel`` and ``mfcc``.
        fingerprint: md5 over preprocessing, and speaker, label and source file of all clips; names the data
            in every result.
        arrays: md5 of each speaker's arrays. Unlike the fingerprint it differs between machines whose libraries do: a
            killed training goes on with the very same arrays or not at all.
    """

    corpus: str
    labels: list[str]
    protocols: dict[str, dict[str, Speakers]]
    clips: dict[str, int]
    skipped: dict[str, str]
    preprocessing: dict[str, Any]
    shapes: dict[str, list[int]]
    fingerprint: str
    arrays: dict[str, str]

    def write(self, path: Path) -> None:
        with atomic_file(path) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read what ``write`` wrote; the sets of speakers are proved disjoint once more.

        Raises:
            CfnsrError: it is not such a file, or a speaker stands in two sets of a fold.
        """
        try:
            return cls._from(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CfnsrError(path, f"is not a manifest ({error})", "Run `dvc repro check`") from error

    @classmethod
    def _from(cls, values: dict[str, Any]) -> Manifest:
        written = values.pop("protocols")
        protocols = {}
        for protocol in PROTOCOLS:
            protocols[protocol] = {
                name: Speakers(*(tuple(sets[role]) for role in ("test", "validation", "train")))
                for name, sets in written[protocol].items()
            }
            proved(protocol, protocols[protocol])
        return cls(protocols=protocols, **values)

    @property
    def folds(self) -> list[str]:
        """Their names, in order."""
        return list(self.protocols["held_out"])

    def speakers(self, trial: Trial) -> Speakers:
        """The sets of a trial's fold."""
        if trial.fold not in self.folds:
            raise CfnsrError(
                "folds", f"no fold {trial.fold!r}; there are {', '.join(self.folds)}", "Run `dvc repro check`"
            )
        return self.protocols[trial.protocol][trial.fold]
