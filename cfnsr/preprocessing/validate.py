"""Check shards before training: is anything missing, broken, doubled or contradictory?"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cfnsr.data import shards
from cfnsr.data.shards import Shard
from cfnsr.errors import CfnsrError
from cfnsr.runtime.bad_clips import BadClips
from cfnsr.runtime.outputs import atomic_file

_COUNTS = ("missing", "surplus", "duplicates", "not_finite", "constant", "silent", "black_frames", "padded")


@dataclass
class ValidationReport:
    """What the shards of all speakers hold.

    Attributes:
        clips: how many each speaker has.
        shapes: of one clip's arrays, by name, as the first speaker's are.
        missing, surplus: clips that are fewer, or more, than the corpus has.
        duplicates: clips that are the same file as another.
        not_finite, constant, silent: clips that hold NaN or infinity, are of one value throughout, or have no sound.
        black_frames: frames of one colour, in clips that have others.
        padded: clips whose sound ended within the window.
        longest_padding_s: the most silence appended to one, in seconds.
        interpolated: mean over clips of the share of frames whose face box comes from their neighbours.
        faults: errors that stop the run.
        fingerprint: md5 over preprocessing, and speaker, label and source file of all clips.
        arrays: md5 of each speaker's arrays.
    """

    clips: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, list[int]] = field(default_factory=dict)
    missing: int = 0
    surplus: int = 0
    duplicates: int = 0
    not_finite: int = 0
    constant: int = 0
    silent: int = 0
    black_frames: int = 0
    padded: int = 0
    longest_padding_s: float = 0.0
    interpolated: float = 0.0
    faults: list[CfnsrError] = field(default_factory=list)
    fingerprint: str = ""
    arrays: dict[str, str] = field(default_factory=dict)

    def add(self, where: object, problem: str, remedy: str) -> None:
        """Add a fault that stops the run."""
        self.faults.append(CfnsrError(where, problem, remedy))

    def write(self, path: Path, *, skipped: int) -> None:
        """Write the counts as JSON, ``skipped`` clips among them."""
        counts = {
            "speakers": len(self.clips),
            "clips": sum(self.clips.values()),
            "skipped": skipped,
            **{name: getattr(self, name) for name in _COUNTS},
            "longest_padding_s": round(self.longest_padding_s, 3),
            "interpolated": round(self.interpolated, 4),
            "contradictions": len(self.faults),
        }
        with atomic_file(path) as partial:
            partial.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")

    def raise_first(self) -> None:
        """Raise the first fault, with the number of the others.

        Raises:
            CfnsrError: there is a fault.
        """
        if self.faults:
            first, more = self.faults[0], len(self.faults) - 1
            suffix = f" (and {more} more)" if more else ""
            raise CfnsrError(first.where, f"{first.problem}{suffix}", first.remedy)


def validate(
    folder: Path,
    *,
    labels: list[str],
    expected: dict[str, Counter[str] | None],
    min_clips: int,
    silence_db: float,
    bad: BadClips,
    preprocessing: dict[str, Any],
) -> ValidationReport:
    """Check every speaker's shard against the others' and against the corpus.

    Args:
        folder: holds one shard a speaker; only those of ``expected`` are read.
        labels: the emotions there may be.
        expected: by speaker, how many clips of each emotion there must be, where the corpus knows.
        min_clips: the fewest clips a speaker may have.
        silence_db: a clip whose loudest log-mel value is below is silent.
        bad: receives the clips that were skipped when the shards were made, and those that are missing.
        preprocessing: how the shards were made.

    Raises:
        CfnsrError: a shard is missing or broken, or a clip is bad and may not be skipped. Whatever else is wrong is
            in ``faults``.
    """
    report = ValidationReport()
    clip_of: dict[str, str] = {}  # by md5 of the source file
    digest = hashlib.md5(json.dumps(preprocessing, sort_keys=True).encode(), usedforsecurity=False)
    interpolated: list[float] = []
    for actor, counts in expected.items():
        path = folder / actor
        shard = shards.read(path)
        report.clips[actor] = len(shard.index)
        for clip, reason in shard.skipped.items():
            bad.handle(f"{actor}/{clip}", CfnsrError(f"{path}, clip {clip}", reason, "Fetch the clip again"))
        _check_index(report, path, shard, actor, labels, min_clips)
        if counts is not None:
            _check_counts(report, path, shard, counts, bad)
        report.arrays[actor] = _check_arrays(report, path, shard, silence_db)
        for clip, label, source in zip(*(shard.index[name] for name in ("clip", "label", "source_md5")), strict=True):
            if source in clip_of:
                report.duplicates += 1
                report.add(path, f"clip {clip} is the same file as {clip_of[source]}", "Remove one of them")
            clip_of[source] = clip
            digest.update(f"{actor} {clip} {label} {source}\n".encode())
        padded_s = shard.index["padded_s"].to_numpy()
        report.padded += int((padded_s > 0).sum())
        report.longest_padding_s = max(report.longest_padding_s, float(padded_s.max()))
        interpolated += shard.index["box_interpolated"].tolist()
    report.interpolated = float(np.nan_to_num(np.mean(interpolated)))
    report.fingerprint = digest.hexdigest()
    return report


def _check_index(
    report: ValidationReport, path: Path, shard: Shard, actor: str, labels: list[str], min_clips: int
) -> None:
    """Check number, speaker and labels of a speaker's clips."""
    if len(shard.index) < min_clips:
        problem = f"holds {len(shard.index)} clips, under check.min_clips = {min_clips}"
        report.add(path, problem, "Complete the speaker, or drop it from actors and folds")
    others = sorted(set(shard.index["actor"]) - {actor})
    if others:
        report.add(path, f"holds clips of speaker {', '.join(others)}", "Move them to their own folder")
    unknown = sorted(set(shard.index["label"]) - set(labels))
    if unknown:
        report.add(path, f"unknown emotion {', '.join(unknown)}", f"Known are {', '.join(labels)}")


def _check_counts(report: ValidationReport, path: Path, shard: Shard, expected: Counter[str], bad: BadClips) -> None:
    """Compare a speaker's clips of each emotion with the corpus's; skipped clips are not missing."""
    counts = Counter(shard.index["label"])
    missing, surplus = expected - counts, counts - expected
    report.missing += max(0, missing.total() - len(shard.skipped))
    report.surplus += surplus.total()
    for label in surplus:
        problem = f"{counts[label]} clips are {label}, where the corpus has {expected[label]}"
        report.add(path, problem, "Fetch this speaker again")
    if missing.total() > len(shard.skipped):
        listed = ", ".join(f"{counts[label]} of {expected[label]} {label}" for label in missing)
        bad.raise_unless_skipping(CfnsrError(path, f"clips are missing: {listed}", "Fetch this speaker again"))


def _check_arrays(report: ValidationReport, path: Path, shard: Shard, silence_db: float) -> str:
    """Check a speaker's arrays; return their md5."""
    digest = hashlib.md5(usedforsecurity=False)
    for name, array in shard.arrays.items():
        file, shape = path / f"{name}.npy", list(array.shape[1:])
        if shape != report.shapes.setdefault(name, shape):
            problem = f"clips of shape {shape}, other speakers' {report.shapes[name]}"
            report.add(file, problem, "Run `dvc repro -f extract`")
        for clip, values in zip(shard.index["clip"], array, strict=True):
            _check_clip(report, file, name, clip, values, silence_db)
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _check_clip(
    report: ValidationReport, file: Path, name: str, clip: str, values: np.ndarray, silence_db: float
) -> None:
    """Check one array of one clip."""
    if not np.isfinite(values).all():
        report.not_finite += 1
        report.add(file, f"clip {clip} holds NaN or infinity", "Fetch the clip again")
        return
    low, high = values.min(), values.max()
    if low == high:
        report.constant += 1
        problem = f"clip {clip} is constant (a black picture, or silence)"
        report.add(file, problem, "Fetch the clip again, or remove it")
    elif name == "mel" and high < silence_db:
        report.silent += 1
        problem = f"clip {clip} is silent: its loudest is {high:.0f} dB, under extract.audio.silence_db = {silence_db}"
        report.add(file, problem, "Fetch the clip again, remove it, or lower the threshold")
    elif name == "frames":
        pixels = values.reshape(len(values), -1, 3)
        report.black_frames += int((pixels.min(axis=1) == pixels.max(axis=1)).all(axis=1).sum())
