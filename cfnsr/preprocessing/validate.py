"""The checks before training: do the shards hold what they should, and does anything contradict itself?"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cfnsr.data import shards
from cfnsr.errors import CfnsrError
from cfnsr.runtime.bad_clips import BadClips
from cfnsr.runtime.outputs import atomic_file


@dataclass
class ValidationReport:
    """What the shards of all speakers hold.

    Attributes:
        clips: how many each speaker has.
        shapes: of one clip's ``frames``, ``mel`` and ``mfcc``, as the first speaker's are.
        missing, surplus: clips that the corpus's own arithmetic has and the shards have not, and the other way round.
        duplicates: clips that are the same file as another.
        not_finite, constant, silent: clips that hold NaN or infinity, are of one value throughout, or have no sound.
        black_frames: frames of one colour, in clips that have others.
        padded: clips whose sound ended within the window.
        longest_padding_s: the most silence appended to one.
        interpolated: mean over clips of the share of frames whose face box comes from their neighbours.
        faults: what stops the run.
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

    def write(self, path: Path, skipped: int) -> None:
        """Write the counts, in a form that `dvc metrics show` reads."""
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

    def stop(self) -> None:
        """Raise the first fault, and say how many more there are."""
        if self.faults:
            first, more = self.faults[0], len(self.faults) - 1
            also = f" (and {more} more)" if more else ""
            raise CfnsrError(first.where, f"{first.problem}{also}", first.remedy)


_COUNTS = ("missing", "surplus", "duplicates", "not_finite", "constant", "silent", "black_frames", "padded")


def inspect(
    folder: Path,
    *,
    labels: list[str],
    expected: dict[str, Counter[str] | None],
    min_clips: int,
    silence_db: float,
    bad: BadClips,
    preprocessing: dict[str, Any],
) -> ValidationReport:
    """Check every speaker's shard against the others and against what it should be.

    Args:
        folder: holds one shard a speaker; others than those ``expected`` are not looked at.
        labels: the emotions there may be.
        expected: by speaker, how many clips of each emotion there must be, where the corpus knows.
        min_clips: the fewest clips a speaker may have.
        silence_db: a clip whose loudest log-mel value is below is silent.
        bad: is told of the clips that were skipped when the shards were made, and of those that are missing.
        preprocessing: how the shards were made.

    Raises:
        CfnsrError: a shard is missing or broken, or a clip is bad and may not be. Whatever else is wrong stands in
            ``faults``.
    """
    found = ValidationReport()
    owner: dict[str, str] = {}
    digest = hashlib.md5(json.dumps(preprocessing, sort_keys=True).encode(), usedforsecurity=False)
    interpolated: list[float] = []
    for actor, wanted in expected.items():
        place = folder / actor
        shard = shards.read(place)
        found.clips[actor] = len(shard.index)
        for clip, reason in shard.skipped.items():
            bad.meet(f"{actor}/{clip}", CfnsrError(f"{place}, clip {clip}", reason, "Fetch the clip again"))
        found.faults += _of_index(place, shard, actor, labels, min_clips)
        if wanted is not None:
            _count(found, place, shard, wanted, bad)
        found.arrays[actor] = _of_arrays(found, place, shard, silence_db)
        for clip, label, source in zip(*(shard.index[name] for name in ("clip", "label", "source_md5")), strict=True):
            if source in owner:
                found.duplicates += 1
                found.faults.append(
                    CfnsrError(place, f"clip {clip} is the same file as {owner[source]}", "Remove one of them")
                )
            owner[source] = clip
            digest.update(f"{actor} {clip} {label} {source}\n".encode())
        padded = shard.index["padded_s"].to_numpy()
        found.padded += int((padded > 0).sum())
        found.longest_padding_s = max(found.longest_padding_s, float(padded.max()))
        interpolated += shard.index["box_interpolated"].tolist()
    found.interpolated = float(np.nan_to_num(np.mean(interpolated)))
    found.fingerprint = digest.hexdigest()
    return found


def _of_index(place: Path, shard: shards.Shard, actor: str, labels: list[str], min_clips: int) -> list[CfnsrError]:
    faults = []
    if len(shard.index) < min_clips:
        faults.append(
            CfnsrError(
                place,
                f"holds {len(shard.index)} clips, under check.min_clips = {min_clips}",
                "Complete the speaker, or drop it from actors and folds",
            )
        )
    strangers = sorted(set(shard.index["actor"]) - {actor})
    if strangers:
        faults.append(
            CfnsrError(place, f"holds clips of speaker {', '.join(strangers)}", "Move them to their own folder")
        )
    unknown = sorted(set(shard.index["label"]) - set(labels))
    if unknown:
        faults.append(CfnsrError(place, f"unknown emotion {', '.join(unknown)}", f"Known are {', '.join(labels)}"))
    return faults


def _count(found: ValidationReport, place: Path, shard: shards.Shard, wanted: Counter[str], bad: BadClips) -> None:
    """Compare the clips of one speaker with the corpus's arithmetic; those that were skipped are accounted for."""
    there = Counter(shard.index["label"])
    short, over = wanted - there, there - wanted
    found.missing += max(0, short.total() - len(shard.skipped))
    found.surplus += over.total()
    for label in over:
        problem = f"{there[label]} clips are {label}, where the corpus has {wanted[label]}"
        found.faults.append(CfnsrError(place, problem, "Fetch this speaker again"))
    if short.total() > len(shard.skipped):
        told = ", ".join(f"{there[label]} of {wanted[label]} {label}" for label in short)
        bad.must_be_whole(CfnsrError(place, f"clips are missing: {told}", "Fetch this speaker again"))


def _of_arrays(found: ValidationReport, place: Path, shard: shards.Shard, silence_db: float) -> str:
    """Check a speaker's arrays; returns their md5."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in shards.ARRAYS:
        array, path = shard.arrays[name], place / f"{name}.npy"
        shape = list(array.shape[1:])
        if shape != found.shapes.setdefault(name, shape):
            problem = f"clips of shape {shape}, other speakers' {found.shapes[name]}"
            found.faults.append(CfnsrError(path, problem, "Run `dvc repro -f extract`"))
        for clip, values in zip(shard.index["clip"], array, strict=True):
            _of_clip(found, path, name, clip, values, silence_db)
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _of_clip(found: ValidationReport, path: Path, name: str, clip: str, values: np.ndarray, silence_db: float) -> None:
    if not np.isfinite(values).all():
        found.not_finite += 1
        found.faults.append(CfnsrError(path, f"clip {clip} holds NaN or infinity", "Fetch the clip again"))
        return
    low, high = values.min(), values.max()
    if low == high:
        found.constant += 1
        problem = f"clip {clip} is constant (a black picture, or silence)"
        found.faults.append(CfnsrError(path, problem, "Fetch the clip again, or remove it"))
    elif name == "mel" and high < silence_db:
        found.silent += 1
        problem = f"clip {clip} is silent: its loudest is {high:.0f} dB, under extract.audio.silence_db = {silence_db}"
        found.faults.append(CfnsrError(path, problem, "Fetch the clip again, remove it, or lower the threshold"))
    elif name == "frames":
        flat = values.reshape(len(values), -1, 3)
        found.black_frames += int((flat.min(axis=1) == flat.max(axis=1)).all(axis=1).sum())
