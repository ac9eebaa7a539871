"""Read and write the manifest: labels, speakers and folds of the shards that have been checked.

Training stages read these from the manifest, not from params.yaml, so that they train on what was checked.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cfnsr.data import shards, splits
from cfnsr.data.splits import PROTOCOLS, Speakers, Trial
from cfnsr.errors import CfnsrError
from cfnsr.runtime.outputs import atomic_file


@dataclass(frozen=True)
class Manifest:
    """The data that has been checked.

    Attributes:
        corpus: its name.
        labels: the emotions in the order of their class index.
        protocols: the sets of speakers of each fold, by protocol.
        clips: number of clips, by speaker.
        skipped: by ``speaker/clip``, why it could not be used; such clips are not counted in ``clips``.
        preprocessing: how the shards were made; it is saved with every model.
        shapes: one clip's shape of each array; a corpus with sound only, or with pictures only, lacks the others.
        fingerprint: md5 over preprocessing and every clip's speaker, label and source file; names the data in every
            result.
        libraries: versions of those that made the arrays, by name; several entries where speakers differ.
        units: what ``actors`` holds: ``speakers``, or ``shards of speakers``.
        arrays: checksum of the arrays, by speaker; jobs compare it with the arrays that they read. Unlike the
            fingerprint it differs between machines whose libraries differ: a killed training resumes only with exactly
            the same arrays.
    """

    corpus: str
    labels: list[str]
    protocols: dict[str, dict[str, Speakers]]
    clips: dict[str, int]
    skipped: dict[str, str]
    preprocessing: dict[str, Any]
    shapes: dict[str, list[int]]
    fingerprint: str
    libraries: list[dict[str, str]]
    units: str
    arrays: dict[str, str]

    def write(self, path: Path) -> None:
        """Write the manifest as JSON."""
        with atomic_file(path) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest, and check the sets of speakers again.

        Raises:
            CfnsrError: the file is missing or not a manifest, or a speaker is in two sets of a fold.
        """
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            protocols: dict[str, dict[str, Speakers]] = {protocol: {} for protocol in PROTOCOLS}
            for protocol, folds in protocols.items():
                for fold, sets in values["protocols"][protocol].items():
                    folds[fold] = Speakers(*(tuple(sets[role]) for role in ("test", "validation", "train")))
                splits.check(protocol, folds)
            return cls(**{**values, "protocols": protocols})
        except FileNotFoundError as error:
            raise CfnsrError(path, "is missing", "Run `dvc repro check`, which writes it") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CfnsrError(path, f"is not a manifest ({error})", "Run `dvc repro check`") from error

    @property
    def modalities(self) -> list[str]:
        """Return the modalities of the corpus: those of its arrays."""
        return [modality for modality in shards.BOTH if {*shards.array_names([modality])} & {*self.shapes}]

    @property
    def folds(self) -> list[str]:
        """Return the folds' names, in order."""
        return list(self.protocols["held_out"])

    @property
    def tested(self) -> list[str]:
        """Return the speakers who test in a fold, in the folds' order."""
        return [speaker for sets in self.protocols["held_out"].values() for speaker in sets.test]

    def speakers(self, trial: Trial) -> Speakers:
        """Return the sets of speakers of a trial's fold.

        Raises:
            CfnsrError: there is no such fold.
        """
        if trial.fold not in self.folds:
            problem = f"no fold {trial.fold!r}; there are {', '.join(self.folds)}"
            raise CfnsrError("folds", problem, "Run `dvc repro check`")
        return self.protocols[trial.protocol][trial.fold]
