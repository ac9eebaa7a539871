"""A small made-up corpus of shards that a network can learn: each emotion has its own stripe and its own tone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cfnsr.corpora.filenames import LABELS
from cfnsr.data import shards
from cfnsr.data.manifest import Manifest
from cfnsr.data.shards import Sample
from cfnsr.data.splits import PROTOCOLS, Trial, split
from cfnsr.preprocessing import validate
from cfnsr.runtime.bad_clips import BadClips

ACTORS = ["01", "02", "03", "04"]
SEED = 7
FOLDS = {"fold_1": ["01"], "fold_2": ["02"], "fold_3": ["03"]}


def trial(fold: str, protocol: str = "held_out", seed: int = SEED) -> Trial:
    return Trial(protocol, fold, seed)


def sample(frames: np.ndarray, mel: np.ndarray, mfcc: np.ndarray, **others: np.ndarray) -> Sample:
    return Sample({"frames": frames, "mel": mel, "mfcc": mfcc, **others}, duration_s=3.0, padded_s=0.0)


def write(folder: Path, *, actors: list[str] = ACTORS, clips: int = 8, size: int = 16, steps: int = 36) -> Path:
    """One shard a speaker under ``folder``, ``clips`` clips each."""
    for actor in actors:
        noise = np.random.default_rng(int(actor))
        rows, samples = [], []
        for number in range(clips):
            kind = number % len(LABELS)
            rows.append(
                {
                    "clip": f"clip-{actor}-{number}",
                    "actor": actor,
                    "label": LABELS[kind],
                    "source_md5": f"{actor}{number}",
                    "box_interpolated": 0.0,
                }
            )
            frames = noise.integers(0, 60, (4, size, size, 3), dtype=np.uint8)
            frames[:, 2 * kind : 2 * kind + 2] += 180
            mfcc = noise.normal(0, 1, (13, steps)).astype(np.float32)
            mfcc[kind] += 8
            mel = noise.normal(0, 1, (32, steps)).astype(np.float32)
            samples.append(sample(frames, mel, mfcc))
        shards.write(folder / actor, rows, samples, {})
    return folder


def found(folder: Path, **changes: Any) -> validate.ValidationReport:
    """What the checks find in such a corpus."""
    options: dict[str, Any] = {
        "labels": list(LABELS),
        "expected": dict.fromkeys(ACTORS),
        "min_clips": 4,
        "silence_db": -50.0,
        "bad": BadClips("fail"),
        "preprocessing": {"size": 16},
    }
    return validate.inspect(folder, **{**options, **changes})


def inspected(folder: Path, **changes: Any) -> Manifest:
    """The manifest of such a corpus."""
    bad = changes.pop("bad", BadClips("fail"))
    seen = found(folder, bad=bad, **changes)
    seen.stop()
    return Manifest(
        corpus="made_up",
        labels=list(LABELS),
        protocols={protocol: split(protocol, ACTORS, FOLDS) for protocol in PROTOCOLS},
        clips=seen.clips,
        skipped=bad.skipped,
        preprocessing=changes.get("preprocessing", {"size": 16}),
        shapes=seen.shapes,
        fingerprint=seen.fingerprint,
        arrays=seen.arrays,
    )
