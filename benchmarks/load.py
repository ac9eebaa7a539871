"""Measure loading a clip at the published size, 30 frames of 224x224, mirrored and shifted.

Writes a shard, and alternates the loader with that augmentation and a plain copy of the same bytes.
Example: python benchmarks/load.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import numpy as np
import torch

from cfnsr import config
from cfnsr.corpora.filenames import LABELS
from cfnsr.data import dataset, shards
from cfnsr.training.augment import Augment

FRAMES, SIDE = 30, 224
ROOT = Path(__file__).parents[1]


def write(folder: Path, clips: int) -> Path:
    random = np.random.default_rng(0)
    frames = random.integers(0, 255, (FRAMES, SIDE, SIDE, 3), dtype=np.uint8)
    mel, mfcc = (random.normal(size=(rows, 212)).astype(np.float32) for rows in (128, 13))
    rows = [
        {"clip": str(number), "actor": "01", "label": LABELS[number % 8], "source_md5": str(number)}
        for number in range(clips)
    ]
    arrays = {"frames": frames, "mel": mel, "mfcc": mfcc}
    shards.write(folder / "01", rows, (shards.Sample(arrays, 3.7, 0.0) for _ in rows), {})
    return folder


@click.command(help=__doc__)
@click.option("--clips", default=64, show_default=True)
@click.option("--epochs", default=5, show_default=True)
def main(clips: int, epochs: int) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        loaded = dataset.Clips(write(Path(folder), clips), ["01"], list(LABELS))
        augment = Augment(**config.load(ROOT / "params.yaml").train.augment.model_dump())
        generator = torch.Generator().manual_seed(1)
        mapped = np.load(Path(folder) / "01" / "frames.npy", mmap_mode="r")
        copy = np.empty((8, FRAMES, SIDE, SIDE, 3), np.uint8)
        spent = {"loader": [], "floor": []}
        for epoch in range(epochs + 1):
            started = time.process_time()
            batches = dataset.shuffled(loaded, 8, seed=1, epoch=epoch)
            seen = sum(len(augment(batch, generator)) for batch in batches)
            spent["loader"].append((time.process_time() - started) / seen)
            started = time.process_time()
            for first in range(0, clips, 8):
                copy[: len(mapped[first : first + 8])] = mapped[first : first + 8]
            spent["floor"].append((time.process_time() - started) / clips)
    ours, floor = (1000 * float(np.median(values[1:])) for values in spent.values())  # the first reads from the disk
    click.echo(f"{ours:.2f} ms a sample and core of {FRAMES}x{SIDE}x{SIDE}, mirrored and shifted (to be <= 5)")
    click.echo(f"  one plain copy of its frames: {floor:.2f} ms, ratio {ours / floor:.1f}")


if __name__ == "__main__":
    main()
