"""The record of what was trained on other corpora; the report reads it, so nothing here imports torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from cfnsr.runtime import stored
from cfnsr.runtime.outputs import atomic_file

FOLDER = "cross_corpus"  # below `jobs`, where each other row has a folder of its protocol


@dataclass(frozen=True)
class CrossTraining:
    """One classifier that was trained on other corpora.

    Attributes:
        trained_on: the other corpora.
        standardise: by whose mean and deviation: ``training`` or ``target``.
        emotions: those shared, by their common names, in the order of their class index.
        training_clips, training_speakers: how many it learned from.
        left_out: by training corpus and emotion, the clips whose emotion the tested corpus lacks.
        tested: number of clips of the tested corpus.
        not_tested: by emotion, the tested corpus's clips whose emotion the training corpora lack.
        layer: of the encoder, from 0.
        c: inverse strength of the regularisation.
    """

    trained_on: list[str]
    standardise: str
    emotions: list[str]
    training_clips: int
    training_speakers: int
    left_out: dict[str, dict[str, int]]
    tested: int
    not_tested: dict[str, int]
    layer: int
    c: float
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class CrossRecord:
    """The record of one encoder's classifiers.

    Attributes:
        name: of the encoder's section of ``features``.
        data: fingerprint of the tested corpus.
        sources: fingerprints of the other corpora.
        seen: whether the encoder's weights have seen the tested corpus: ``no``, ``yes``, or ``unknown``.
        labels: by emotion of the tested corpus, its common name.
        trainings: one a set of training corpora and way of standardising.
        speakers: those tested, in the folds' order.
    """

    name: str
    data: str
    sources: dict[str, str]
    seen: str
    labels: dict[str, str]
    trainings: list[CrossTraining]
    speakers: list[str]
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)

    def write(self, path: Path) -> None:
        """Write the record as JSON."""
        with atomic_file(path) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> CrossRecord:
        """Read a record.

        Raises:
            CfnsrError: the file is missing or is not a record.
        """
        return stored.read_json(path, cls, "a record of what other corpora trained")
