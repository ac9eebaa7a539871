"""Read and write the manifest: labels, speakers and folds of the shards that have been checked.

Training stages read these from the manifest, not from params.yaml, so that they train on what was checked.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict

from cfnsr.data import shards, splits
from cfnsr.data.splits import PROTOCOLS, Speakers, Trial
from cfnsr.errors import CfnsrError
from cfnsr.runtime import stored
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
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)

    def write(self, path: Path) -> None:
        """Write the manifest as JSON."""
        with atomic_file(path) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path, remedy: str = stored.AGAIN) -> Manifest:
        """Read a manifest, and check the sets of speakers again.

        Args:
            path: of the file.
            remedy: for the error.

        Raises:
            CfnsrError: the file is missing or not a manifest, or a speaker is in two sets of a fold.
        """
        manifest = stored.read_json(path, cls, "a manifest", remedy)
        with stored.reading(path, "a manifest", remedy):
            manifest._check()
        return manifest

    def _check(self) -> None:
        """Check that the fields fit each other."""
        for protocol in PROTOCOLS:
            splits.check(protocol, self.protocols[protocol])
        if not (self.labels and self.folds and min(map(min, self.shapes.values())) > 0):
            raise ValueError("it lacks labels, folds or shapes")

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
            raise CfnsrError("folds", problem, "Run `dvc repro` without `-s`, which writes the manifest again")
        sets = self.protocols[trial.protocol][trial.fold]
        unknown = {*sets.test, *sets.validation, *sets.train} - {*self.clips}
        if unknown:
            problem = f"the manifest lists no clips of speaker {', '.join(sorted(unknown))}"
            raise CfnsrError(f"folds.{trial.fold}", problem, stored.AGAIN)
        return sets
