"""What a line of the table holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ResultRow:
    """One system's line of the table; shares from 0 to 1.

    Attributes:
        name: the system, or the modality alone; of another protocol than ``held_out`` see ``label``.
        accuracy, uar, f1, top2: on all test clips, at the epoch that the validation speakers chose.
        deviation: standard deviation between folds, of the accuracy.
        seed_deviation: likewise between seeds of one fold; none with one seed, and then ``deviation`` holds both.
        low, high: interval of the accuracy over speakers.
        coverage: how often such an interval holds the truth, by simulation.
        last: accuracy at the last epoch; none for imported networks, of which one epoch is known.
        optimistic: accuracy at each fold's best test epoch; not a result; likewise.
        gap: how far that flatters; of a published row, how far it lies above the one held out, if there is one.
        without_video, without_audio: accuracy without the face, without the voice; none where only one is read.
        ece: expected calibration error.
        ece_scaled: the same at the temperature that the validation speakers ask for.
        temperature: that, the geometric mean over folds and seeds; none where nobody validates.
        reads: the modalities it reads, ``audio video`` or one of them.
        reconstructed: what of it no source gives exactly; empty where all is known.
        imported: where it was trained elsewhere, each fold's file; else empty.
        parameters: trainable and not.
        published_accuracy: on RAVDESS, by another protocol; none where none was published.
        protocol, seeds, data: of the run; ``imported`` is no protocol of ours.
        clips, speakers, folds: how many were tested.
        skipped: clips beside these that could not be used.
        level: of the interval.
    """

    name: str
    accuracy: float
    deviation: float
    seed_deviation: float | None
    low: float
    high: float
    coverage: float
    uar: float
    f1: float
    top2: float
    last: float | None
    best_test_epoch: float | None
    gap: float | None
    without_video: float | None
    without_audio: float | None
    ece: float
    ece_scaled: float | None
    temperature: float | None
    reads: str
    reconstructed: str
    imported: str
    parameters: int
    published_accuracy: float | None
    protocol: str
    seeds: str
    data: str
    clips: int
    skipped: int
    speakers: int
    folds: int
    level: float

    @property
    def published(self) -> bool:
        """Whether the test speakers chose the epoch."""
        return self.protocol == "test_selected"


@dataclass(frozen=True)
class Difference:
    """How far apart two systems are, and how likely that were if they were alike.

    Attributes:
        one, other: the rows.
        difference: of the mean over speakers of their accuracies.
        p: by a permutation test over speakers.
        p_holm: the same, corrected for all pairs of the table.
    """

    one: str
    other: str
    difference: float
    p: float
    p_holm: float


def label(protocol: str, name: str) -> str:
    """What a row is called, in the table and as a file; no system's name has an at sign."""
    return name if protocol == "held_out" else f"{name}@{protocol}"
