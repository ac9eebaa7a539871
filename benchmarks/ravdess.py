"""Estimate the time and the disk space of a full run on RAVDESS from rates that are measured here.

Nothing is downloaded: one generated clip of RAVDESS's kind, one file of landmarks of its size and one step of each
network at the published sizes are timed, and multiplied by the corpus's own counts. Example: python
benchmarks/ravdess.py
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
import torch

from cfnsr import config
from cfnsr.cli.models import untrained_spec
from cfnsr.config import preset
from cfnsr.corpora.studio.prepare import openface as openface_writer
from cfnsr.models.types import Batch
from cfnsr.preprocessing import face_boxes, openface_csv

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.extract import AUDIO, FRAMES, VIDEO, extract_clip, generate

ROOT = Path(__file__).parents[1]
CLIPS = 1440
STAGE_S = 4.0  # of a stage before its work: Python, torch and DVC's own (benchmarks/pipeline.py)
CROPS, SIDE_PX, STEPS = VIDEO["frames"], VIDEO["side_px"], 212


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """Return the shortest of a few measurements, after a first call that is not measured."""
    work()
    measured = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        measured.append(time.perf_counter() - started)
    return min(measured)


def reading_landmarks(folder: Path) -> Callable[[], object]:
    """Return a function that reads the landmarks of a clip and computes its face boxes."""
    points = np.random.default_rng(0).uniform(300, 700, (FRAMES, 68, 2))
    path = folder / "clip.csv"
    openface_writer.write(path, points, 0.9, 29.97)
    options = {"min_confidence": 0.7, "min_tracked": 0.5, "margin": 0.35, "smoothing_s": 0.2, "side_smoothing_s": 1.0}
    return lambda: face_boxes.compute(openface_csv.read(path), **options, where=path)


def training_step(values: config.Params, name: str) -> Callable[[], object]:
    """Return a function that runs forward and backward of two clips through a network at the published sizes."""
    spec = untrained_spec(values, name)
    network = spec.build().train()
    arrays = {name: torch.randn(2, *shape) for name, shape in spec.inputs.items()}
    arrays["frames"] = arrays["frames"].movedim(-1, 1)  # batch 3 time height width
    batch = Batch(arrays, torch.zeros(2, dtype=torch.int64))
    return lambda: network(batch).fused.sum().backward()


@click.command(help=__doc__)
@click.option("--network-mbit", default=100.0, show_default=True, help="Megabits a second from the server.")
def main(network_mbit: float) -> None:
    cores = torch.get_num_threads()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        params = folder / "params.yaml"
        params.write_text((ROOT / "params.yaml").read_text())
        preset.apply(params, ROOT / "presets/ravdess.yaml")
        values = config.load(params)
        clip = generate(folder / "clip.mp4", 3, 6, 0)
        torch.set_num_threads(1)
        extract_s, landmarks_s = seconds(lambda: extract_clip(clip)), seconds(reading_landmarks(folder))
        torch.set_num_threads(cores)
        step_s = {name: seconds(training_step(values, name), 2) / 2 for name in ("video", "audio", "cfnsr")}
    with (ROOT / "cfnsr/corpora/ravdess/prepare/files.tsv").open() as table:
        sizes = {row["name"]: int(row["bytes"]) for row in csv.DictReader(table, delimiter="\t")}
    fetched = sum(sizes.values())
    videos = sum(size for name, size in sizes.items() if name.startswith("Video"))
    click.echo(f"a clip, one core: landmarks {landmarks_s * 1000:.0f} ms, frames and sound {extract_s * 1000:.0f} ms")
    click.echo(
        f"a clip's training step, {cores} cores: "
        + ", ".join(f"{name} {spent:.2f} s" for name, spent in step_s.items())
    )
    train, folds = CLIPS * (len(values.folds) - 2) / len(values.folds), len(values.folds)
    epochs = {"video": values.pretrain.video.epochs, "audio": values.pretrain.audio.epochs}
    training = values.systems["cfnsr"].training
    assert training is not None
    epochs["cfnsr"] = training.epochs
    # Each epoch also predicts the other clips: the forward pass alone, a third of a step.
    training_s = {name: spent * epochs[name] * folds * (train + (CLIPS - train) / 3) for name, spent in step_s.items()}
    for run_cores in (2, 16):
        fetch_s = fetched * 8 / network_mbit / 1e6
        prepare_s = (CLIPS * extract_s + CLIPS * landmarks_s) / run_cores + 73 * STAGE_S
        train_s = sum(training_s.values()) * cores / run_cores
        click.echo(
            f"{run_cores} cores: fetching {fetch_s / 60:.0f} min at {network_mbit:g} Mbit/s, preparing"
            f" {prepare_s / 60:.0f} min, training on the CPU {train_s / 86400:.0f} days (on a GPU: benchmarks/gpu.py)"
        )
    shards = CLIPS * (CROPS * SIDE_PX**2 * 3 + 4 * STEPS * (AUDIO["mels"] + AUDIO["coefficients"])) / 1e9
    click.echo(f"disk: {videos / 2e9:.1f} GB of clips (those with sound are about half of {videos / 1e9:.1f} GB)")
    click.echo(f"      {shards:.1f} GB of arrays")


if __name__ == "__main__":
    main()
