"""Made-up features of a frozen encoder, for the clips of ``tests.support.corpus``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from cfnsr.data import shards
from cfnsr.features import files
from cfnsr.features.files import Facts
from cfnsr.runtime.checksum import of_arrays
from tests.support import corpus

FACTS = Facts("encoder", "audio", "1", ("elsewhere",), "ab" * 32, "MIT", 1000, 16000)
STEPS = 6
KNOWING = 1  # the layer that tells the emotions apart; the two others are noise


def write(folder: Path, shards_folder: Path, *, facts: Facts = FACTS) -> Path:
    """Write the features of every speaker below ``folder``."""
    for actor in corpus.ACTORS:
        index = shards.read(shards_folder / actor).index
        noise = np.random.default_rng(int(actor))
        means = noise.normal(0, 1, (len(index), 3, 12)).astype(np.float32)
        for row, label in enumerate(index["label"]):
            means[row, KNOWING, corpus.LABELS.index(label)] += 6
        write_speaker(folder / actor, index, means, facts)
        # Over time: noise, and for four moments the emotion.
        sequences = noise.normal(0, 1, (len(index), STEPS, 12)).astype(np.float32)
        sequences[:, 1:5] += means[:, KNOWING, None]
        replace(folder / actor / files.SEQUENCES, sequences)
    return folder


def write_speaker(folder: Path, index: pd.DataFrame, means: np.ndarray, facts: Facts = FACTS) -> None:
    """Write the features of one speaker, without sequences."""
    (folder / files.SEQUENCES).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / files.ARRAY, means)
    table = pd.DataFrame(index[["clip", "actor", "label", "source_md5"]]).assign(seconds=1.0, skipped=None)
    table.to_parquet(folder / files.INDEX, index=False)
    add_checksum(folder)
    (folder / files.FACTS).write_text(json.dumps(asdict(facts)))


def replace(path: Path, array: np.ndarray) -> None:
    """Replace one array of a speaker's features, as if the encoder had made it."""
    np.save(path, array)
    add_checksum(path.parent)


def add_checksum(folder: Path) -> None:
    """Write the checksum of a speaker's arrays into the index."""
    arrays = [np.load(folder / name) for name in (files.ARRAY, files.SEQUENCES) if (folder / name).is_file()]
    index = pd.read_parquet(folder / files.INDEX)
    index.attrs[files.CHECKSUM] = of_arrays(arrays)
    index.to_parquet(folder / files.INDEX, index=False)
