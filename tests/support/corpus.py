"""A small made-up corpus of shards that a network can learn: each emotion has its own stripe and its own tone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from cfnsr.corpora.filenames import LABELS
from cfnsr.data import shards
from cfnsr.data.manifest import Manifest
from cfnsr.data.shards import Sample
from cfnsr.data.splits import PROTOCOLS, Trial, split
from cfnsr.runtime.checksum import of_arrays

ACTORS = ["01", "02", "03", "04"]
SEED = 7
FOLDS = {"fold_1": ["01"], "fold_2": ["02"], "fold_3": ["03"]}
PREPROCESSING = {"size": 16}


def trial(fold: str, protocol: str = "held_out", seed: int = SEED) -> Trial:
    return Trial(protocol, fold, seed)


def sample(frames: np.ndarray, mel: np.ndarray, mfcc: np.ndarray, **others: np.ndarray) -> Sample:
    return Sample({"frames": frames, "mel": mel, "mfcc": mfcc, **others}, duration_s=3.0, padded_s=0.0)


def write(folder: Path, *, actors: list[str] = ACTORS, clips: int = 8, size: int = 16, steps: int = 36) -> Path:
    """Write a shard a speaker below ``folder``, of ``clips`` clips each.

    An array that is in the table of arrays and not made here is noise of two steps a dimension.
    """
    for actor in actors:
        noise = np.random.default_rng(int(actor))
        rows, samples = [], []
        for number in range(clips):
            emotion = number % len(LABELS)
            rows.append(
                {
                    "clip": f"clip-{actor}-{number}",
                    "actor": actor,
                    "label": LABELS[emotion],
                    "source_md5": f"{actor}{number}",
                    "box_interpolated": 0.0,
                    "box_jumps": 0,
                }
            )
            frames = noise.integers(0, 60, (4, size, size, 3), dtype=np.uint8)
            frames[:, 2 * emotion : 2 * emotion + 2] += 180
            mfcc = noise.normal(0, 1, (13, steps)).astype(np.float32)
            mfcc[emotion] += 8
            mel = noise.normal(0, 1, (32, steps)).astype(np.float32)
            others = {
                name: noise.normal(size=[2] * len(spec.dimensions)).astype(spec.dtype)
                for name, spec in shards.ARRAYS.items()
                if name not in {"frames", "mel", "mfcc"}
            }
            samples.append(sample(frames, mel, mfcc, **others))
        shards.write(folder / actor, rows, samples, {})
    return folder


def manifest(folder: Path, *, preprocessing: dict[str, Any] = PREPROCESSING) -> Manifest:
    """Describe such a corpus as the check stage does."""
    opened = {actor: shards.read(folder / actor) for actor in ACTORS}
    described = [preprocessing, *(shard.index[["clip", "label", "source_md5"]].to_dict() for shard in opened.values())]
    return Manifest(
        corpus="made_up",
        labels=list(LABELS),
        protocols={protocol: split(protocol, ACTORS, FOLDS) for protocol in PROTOCOLS},
        clips={actor: len(shard.index) for actor, shard in opened.items()},
        skipped={},
        preprocessing=preprocessing,
        shapes={name: list(array.shape[1:]) for name, array in opened["01"].arrays.items()},
        fingerprint=hashlib.md5(json.dumps(described).encode(), usedforsecurity=False).hexdigest(),
        libraries=[],
        units="speakers",
        arrays={actor: of_arrays(shard.arrays.values()) for actor, shard in opened.items()},
    )
