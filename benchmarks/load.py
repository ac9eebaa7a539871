"""Measure loading a clip at the published size, 30 frames of 224x224, mirrored and shifted.

Writes a shard, and alternates the loader with that augmentation, the loader of the sound alone, and the floor: a plain
copy of the same bytes from the disk's cache. Example: python benchmarks/load.py
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import cv2
import numpy as np
import torch

from cfnsr import config
from cfnsr.corpora.filenames import LABELS
from cfnsr.data import dataset, shards
from cfnsr.training.augment import Augment

Row = tuple[str, float, float]  # what was measured, with its unit; the figure; its target
FRAMES, SIDE, BATCH = 30, 224, 8
TARGET_MS, TARGET_SOUND, NO_TARGET = 2.5, 0.1, math.nan
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


def cpu_ms(work: Callable[[], object], clips: int) -> float:
    started = time.process_time()
    work()
    return 1000 * (time.process_time() - started) / clips


def rows(clips: int = 64, epochs: int = 9) -> list[Row]:
    """Measure; return names with units, figures and targets, of which none is to be exceeded (NaN: no target)."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        both = dataset.Clips(write(Path(folder), clips), ["01"], list(LABELS))
        sound = both.reading(["audio"])
        augment = Augment(**config.load(ROOT / "params.yaml").train.augment.model_dump())
        mapped = np.load(Path(folder) / "01" / "frames.npy", mmap_mode="r")
        copy = np.empty((BATCH, FRAMES, SIDE, SIDE, 3), np.uint8)
        generator = torch.Generator().manual_seed(1)

        def load(loaded: dataset.Clips, epoch: int) -> None:
            for batch in dataset.shuffled(loaded, BATCH, seed=1, epoch=epoch):
                augment(batch, generator)

        def floor() -> None:
            for first in range(0, clips, BATCH):
                copy[: len(mapped[first : first + BATCH])] = mapped[first : first + BATCH]

        ways: list[Callable[[int], object]] = [
            lambda epoch: load(both, epoch),
            lambda epoch: load(sound, epoch),
            lambda epoch: floor(),
        ]
        times = np.array([[cpu_ms(partial(way, epoch), clips) for way in ways] for epoch in range(epochs + 1)])
    ours, alone, copied = np.median(times[1:], axis=0).tolist()  # the first reads from the disk
    size = f"{FRAMES}x{SIDE}x{SIDE}"
    return [
        (f"loading {size}, mirrored and shifted: ms a sample on one core", ours, TARGET_MS),
        (f"loading {size}, mirrored and shifted: CPU time by a plain copy of its bytes", ours / copied, NO_TARGET),
        ("loading for a network of sound alone: CPU time by loading both modalities", alone / ours, TARGET_SOUND),
    ]


@click.command(help=__doc__)
@click.option("--clips", default=64, show_default=True)
@click.option("--epochs", default=9, show_default=True)
def main(**options: int) -> None:
    for name, figure, target in rows(**options):
        click.echo(f"{figure:8.2f}  {'' if math.isnan(target) else f'(<= {target:g})':10}  {name}")


if __name__ == "__main__":
    main()
