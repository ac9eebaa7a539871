"""Check shards before training for missing, broken, repeated and contradictory clips."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cfnsr.data import shards
from cfnsr.data.shards import Shard
from cfnsr.errors import CfnsrError
from cfnsr.runtime import stored
from cfnsr.runtime.bad_clips import BadClips
from cfnsr.runtime.checksum import Checksum
from cfnsr.runtime.outputs import atomic_file

LATE_S = 0.2  # between the beginnings of picture and sound
LONG = 3.0  # times the median duration of all clips
_COUNTS = ("missing", "surplus", "duplicates", "not_finite", "constant", "silent", "black_frames", "padded")


@dataclass
class ValidationReport:
    """The result of the checks on the shards of all speakers.

    Attributes:
        clips: number of clips, by speaker.
        shapes: of one clip's arrays, by name, in the first speaker's shard.
        missing, surplus: number of clips fewer, or more, than the corpus has.
        duplicates: clips with the same file as another.
        not_finite, constant, silent: arrays with NaN or infinity, with a single value, or without sound.
        black_frames: frames of a single colour, in clips that have others.
        padded: clips whose audio ended within the window.
        longest_padding_s: longest silence appended to a clip, in seconds.
        interpolated: share of frames with an interpolated face box, as a mean over clips.
        findings: by what is odd, the clips that are worth a look; they do not stop the run.
        faults: errors that stop the run, see ``raise_first``.
        fingerprint: md5 of the preprocessing options, and of all clips' speakers, labels and files.
        arrays: checksum of each speaker's arrays.
        libraries: those that made each speaker's arrays, with their versions.
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
    findings: dict[str, list[str]] = field(default_factory=dict)
    faults: list[CfnsrError] = field(default_factory=list)
    fingerprint: str = ""
    arrays: dict[str, str] = field(default_factory=dict)
    libraries: list[dict[str, str]] = field(default_factory=list)

    def add(self, where: object, problem: str, remedy: str) -> None:
        """Add a fault that stops the run."""
        self.faults.append(CfnsrError(where, problem, remedy))

    def write(self, path: Path, *, skipped: int) -> None:
        """Write the counts as JSON, with the number of skipped clips."""
        counts = {
            "speakers": len(self.clips),
            "clips": sum(self.clips.values()),
            "skipped": skipped,
            **{name: getattr(self, name) for name in _COUNTS},
            "longest_padding_s": round(self.longest_padding_s, 3),
            "interpolated": round(self.interpolated, 4),
            "findings": {name: len(clips) for name, clips in self.findings.items()},
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
    modalities: Collection[str] = shards.BOTH,
) -> ValidationReport:
    """Check every speaker's shard against the others' and against the corpus.

    Args:
        folder: contains one shard a speaker; only those of ``expected`` are read.
        labels: the corpus's emotions.
        expected: by speaker, the number of clips of each emotion, where the corpus knows it.
        min_clips: smallest number of clips of a speaker.
        silence_db: a clip whose log-mel stays below this level is silent.
        bad: receives the clips that were skipped when the shards were made, and those that are missing.
        preprocessing: the options that made the shards.
        modalities: of the corpus.

    Raises:
        CfnsrError: a shard is missing or broken, or a clip is bad and must not be skipped. Other errors are in
            ``faults``.
    """
    report = ValidationReport()
    seen: dict[str, tuple[str, str, str]] = {}  # speaker, label and clip, by md5 of the clip's file
    digest = hashlib.md5(json.dumps(preprocessing, sort_keys=True).encode(), usedforsecurity=False)
    tables: list[pd.DataFrame] = []
    for actor, counts in expected.items():
        path = folder / actor
        shard = shards.read(path, modalities)
        report.clips[actor] = len(shard.index)
        if shard.libraries not in report.libraries:
            report.libraries.append(shard.libraries)
        for clip, reason in shard.skipped.items():
            bad.handle(f"{actor}/{clip}", CfnsrError(f"{path}, clip {clip}", reason, _fetch(path)))
        _check_index(report, path, shard, actor, labels, min_clips)
        if counts is not None:
            _check_counts(report, path, shard, counts, bad)
        report.arrays[actor] = _check_arrays(report, path, shard, silence_db)
        for clip, label, md5 in zip(*(shard.index[name] for name in ("clip", "label", "source_md5")), strict=True):
            if md5 in seen:
                report.duplicates += 1
                # One recording under two names is odd; as two speakers or two emotions it is a contradiction.
                if seen[md5][:2] != (actor, label):
                    report.add(path, f"clip {clip} is the same file as {seen[md5][2]}", "Remove one of them")
            seen[md5] = (actor, label, clip)
            digest.update(f"{actor} {clip} {label} {md5}\n".encode())
        padded_s = shard.index["padded_s"].to_numpy()
        report.padded += int((padded_s > 0).sum())
        report.longest_padding_s = max(report.longest_padding_s, float(padded_s.max()))
        tables.append(shard.index)
    index = pd.concat(tables, ignore_index=True)
    report.interpolated = float(np.nan_to_num(index["box_interpolated"].mean()))
    report.findings = _findings(index)
    report.fingerprint = digest.hexdigest()
    return report


def _findings(index: pd.DataFrame) -> dict[str, list[str]]:
    """List the clips that are odd, by what is odd about them."""
    usual = index["transfer"].mode().iloc[0]
    odd = {
        "sound_offset": index["sound_offset_s"].abs() > LATE_S,
        "several_tracks": index["tracks"] > 1,
        "lost_frames": index["lost_frames"] > 0,
        "scaled_frames": index["scaled_frames"] > 0,
        "still": index["still"],
        "other_dynamic_range": index["transfer"] != usual,
        "face_jumps": index["box_jumps"] > 0,
        "long": index["duration_s"] > LONG * index["duration_s"].median(),
    }
    return {name: index.loc[rows, "clip"].tolist() for name, rows in odd.items()}


def _fetch(path: Path) -> str:
    return f"Fetch the speaker's clips again: {stored.fetching(path)}"


def _check_index(
    report: ValidationReport, path: Path, shard: Shard, actor: str, labels: list[str], min_clips: int
) -> None:
    """Check number, speaker and labels of a speaker's clips."""
    if len(shard.index) < min_clips:
        problem = f"has {len(shard.index)} clips, under check.min_clips = {min_clips}"
        report.add(path, problem, "Add clips of the speaker, or remove it from actors and folds")
    others = sorted(set(shard.index["actor"]) - {actor})
    if others:
        report.add(path, f"contains clips of speaker {', '.join(others)}", "Move them to their own folder")
    unknown = sorted(set(shard.index["label"]) - set(labels))
    if unknown:
        report.add(path, f"has the unknown emotion {', '.join(unknown)}", f"The corpus has {', '.join(labels)}")


def _check_counts(report: ValidationReport, path: Path, shard: Shard, expected: Counter[str], bad: BadClips) -> None:
    """Compare a speaker's clips of each emotion with the corpus's; skipped clips are not missing."""
    counts = Counter(shard.index["label"])
    missing, surplus = expected - counts, counts - expected
    report.missing += max(0, missing.total() - len(shard.skipped))
    report.surplus += surplus.total()
    for label in surplus:
        problem = f"{counts[label]} clips are {label}, where the corpus has {expected[label]}"
        report.add(path, problem, _fetch(path))
    if missing.total() > len(shard.skipped):
        listed = ", ".join(f"{counts[label]} of {expected[label]} {label}" for label in missing)
        bad.raise_unless_skipping(CfnsrError(path, f"clips are missing: {listed}", _fetch(path)))


def _check_arrays(report: ValidationReport, path: Path, shard: Shard, silence_db: float) -> str:
    """Check a speaker's arrays; return their checksum."""
    checksum = Checksum()
    for name, array in shard.arrays.items():
        file, shape = path / f"{name}.npy", list(array.shape[1:])
        if shape != report.shapes.setdefault(name, shape):
            problem = f"has clips of shape {shape}, the other speakers {report.shapes[name]}"
            report.add(file, problem, stored.AGAIN)
        for clip, values in zip(shard.index["clip"], array, strict=True):
            _check_clip(report, file, name, clip, values, silence_db)
            checksum.add(values)
    return str(checksum)


def _check_clip(
    report: ValidationReport, file: Path, name: str, clip: str, values: np.ndarray, silence_db: float
) -> None:
    """Check one array of one clip."""
    if not np.isfinite(values).all():
        report.not_finite += 1
        report.add(file, f"clip {clip} contains NaN or infinity", _fetch(file.parent))
        return
    low, high = values.min(), values.max()
    if low == high:
        report.constant += 1
        problem = f"clip {clip} is constant (a black picture, or silence)"
        report.add(file, problem, f"{_fetch(file.parent)}, or remove the clip")
    elif name == "mel" and high < silence_db:
        report.silent += 1
        problem = f"clip {clip} is silent: its loudest is {high:.0f} dB, under extract.audio.silence_db = {silence_db}"
        report.add(file, problem, f"{_fetch(file.parent)}, remove the clip, or lower the threshold")
    elif name == "frames":
        pixels = values.reshape(len(values), -1, 3)
        report.black_frames += int((pixels.min(axis=1) == pixels.max(axis=1)).all(axis=1).sum())
