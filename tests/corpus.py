"""A small made-up corpus of shards that a network can learn: each emotion has its own stripe and its own tone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cfnsr import gate, shards
from cfnsr.bad_clips import BadClips
from cfnsr.folds import held_out
from cfnsr.naming import LABELS
from cfnsr.types import Sample

ACTORS = ["01", "02", "03", "04"]
FOLDS = {"fold_1": ["01"], "fold_2": ["02"], "fold_3": ["03"]}


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
                }
            )
            frames = noise.integers(0, 60, (4, size, size, 3), dtype=np.uint8)
            frames[:, 2 * kind : 2 * kind + 2] += 180
            mfcc = noise.normal(0, 1, (13, steps)).astype(np.float32)
            mfcc[kind] += 8
            mel = noise.normal(0, 1, (32, steps)).astype(np.float32)
            samples.append(Sample(frames, mel, mfcc, duration_s=3.0, padded_s=0.0))
        shards.write(folder / actor, rows, samples, {})
    return folder


def inspected(folder: Path, **changes: Any) -> gate.Gate:
    """The gate's findings on such a corpus."""
    options: dict[str, Any] = {
        "corpus": "made_up",
        "labels": list(LABELS),
        "protocol": "held_out",
        "folds": held_out(ACTORS, FOLDS),
        "actors": ACTORS,
        "min_clips": 4,
        "bad": BadClips("fail"),
        "preprocessing": {"size": 16},
    }
    return gate.inspect(folder, **{**options, **changes})
