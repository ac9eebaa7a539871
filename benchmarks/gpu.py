"""Measure training at the published sizes on a GPU: kinds of step, a whole epoch with loading, and both beside the CPU.

Needs a GPU; without one it says so and ends. Example: python benchmarks/gpu.py --out gpu.json
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.load import write
from benchmarks.step import random_batch
from cfnsr.corpora.filenames import LABELS
from cfnsr.data.dataset import Clips
from cfnsr.evaluation import device
from cfnsr.evaluation.predict import Normalise, evaluation_mode
from cfnsr.models.types import Batch
from cfnsr.training.augment import Augment
from cfnsr.training.loop import Trainer
from cfnsr.training.optimiser import Adam
from cfnsr.training.settings import TrainingSettings
from tests.support import zoo

CPU, GPU = torch.device("cpu"), torch.device("cuda")
ROWS = ["video", "audio", *zoo.OPTIONS]
TRAINED = ["video", "audio", "multiplicative", "concat", "mcbp", "mmtm", "msaf", "eranns", "cfnsr"]
KINDS: dict[str, dict[str, Any]] = {
    "plain fp32, channels first": {"channels_last": False},
    "fp32, channels last": {},
    "tf32, channels last": {"tf32": True},
    "bf16, channels first": {"precision": torch.bfloat16, "channels_last": False},
    "bf16, channels last": {"precision": torch.bfloat16},
    "bf16, channels last, fastest kernels": {"precision": torch.bfloat16, "deterministic": False},
    "bf16, channels first, fastest kernels": {
        "precision": torch.bfloat16,
        "deterministic": False,
        "channels_last": False,
    },
    "fp16, channels last": {"precision": torch.float16},
}
# Of params.yaml, and of presets/ravdess.yaml: 16 of 24 speakers train, each network 70 epochs, in 6 folds.
AUGMENT: dict[str, Any] = {
    "video": {
        "flip": 0.5, "shift": 0.08, "crop_scale": 1.0, "crop_ratio": 1.0,
        "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "jitter": 0,
    },
    "audio": {
        "gain_db": 0.0, "noise": 0.0, "noise_db": -40.0, "shift": 0.0,
        "time_masks": 0, "time_mask": 0.1, "band_masks": 0, "band_mask": 0.1,
    },
    "modality_dropout": 0.0,
}  # fmt: skip
EPOCHS, FOLDS, TRAIN_CLIPS, OTHER_CLIPS = 70, 6, 960, 480


def settings(batch_size: int, precision: str) -> TrainingSettings:
    return TrainingSettings(
        epochs=EPOCHS,
        batch_size=batch_size,
        learning_rate=1e-3,
        weight_decay=0.0,
        precision=precision,
        compile=False,
        schedule="constant",
        warmup_epochs=0,
        clip_norm=0.0,
        accumulate=1,
        class_weights="none",
        label_smoothing=0.0,
        patience=0,
    )


def timed(step: Callable[[], object], turns: int) -> float:
    """Return the median seconds of a call, by the GPU's own clock."""
    for _ in range(3):
        step()
    spent = []
    for _ in range(turns):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        step()
        end.record()
        end.synchronize()
        spent.append(begin.elapsed_time(end) / 1000)
    return float(np.median(spent))


def stepper(
    name: str, clips: int, *, precision: Any = None, channels_last: bool = True, tf32: bool = False,
    deterministic: bool = True,
) -> Callable[[], object]:  # fmt: skip
    """Return a function that trains one step of clips that are on the GPU already."""
    device.make_reproducible(1, 2, GPU, deterministic=deterministic)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    spec = zoo.spec(name, paper_scale=True)
    network = spec.build().to(GPU)
    batch, normalise = random_batch(spec, clips).to(GPU), Normalise(**spec.pixels, device=GPU)
    adam = Adam(network.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        normalised = normalise(batch)
        if not channels_last:
            normalised = normalised.replace(frames=normalised["frames"].contiguous())
        with torch.autocast("cuda", precision, enabled=precision is not None):
            fused = network(normalised).fused
        F.nll_loss(fused.float(), batch.label).backward()
        adam.step()
        adam.zero_grad(set_to_none=True)

    return step


def measure_steps(clips: int, turns: int) -> dict[str, dict[str, float]]:
    """Measure each kind of step of CFN-SR: clips a second, and gigabytes at the peak."""
    measured = {}
    for kind, options in KINDS.items():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        spent = timed(stepper("cfnsr", clips, **options), turns)
        peak = torch.cuda.max_memory_allocated() / 1e9
        measured[kind] = {"clips_a_second": clips / spent, "peak_gb": peak}
        click.echo(f"  {kind:40} {clips / spent:7.1f} clips/s, {peak:5.1f} GB")
    return measured


@contextmanager
def utilisation() -> Iterator[list[float]]:
    """Sample how busy the GPU is, in percent."""
    samples: list[float] = []
    done = threading.Event()

    def sample() -> None:
        while not done.wait(0.05):
            samples.append(float(torch.cuda.utilization()))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


class Ahead(Trainer):
    """Loads batches ahead, in processes of their own, into memory that the GPU reads directly."""

    def batches(self, epoch: int) -> DataLoader[Batch]:
        loader: Any = super().batches(epoch)
        return DataLoader(
            loader.dataset, batch_sampler=loader.batch_sampler, generator=torch.Generator(),
            collate_fn=lambda batch: batch, num_workers=2, pin_memory=True,
        )  # fmt: skip


def measure_epochs(folder: Path, batch_size: int) -> dict[str, dict[str, float]]:
    """Measure whole epochs: with the loader as it is, and with batches loaded ahead."""
    measured: dict[str, dict[str, float]] = {}
    clips = Clips(folder, ["01"], list(LABELS))
    for name in TRAINED:
        spec = zoo.spec(name, paper_scale=True)
        for kind, workers in (("loaded in turn", 0), ("2 workers ahead", 2)):
            device.make_reproducible(1, 2, GPU)
            cls = Ahead if workers else Trainer
            trainer = cls(
                spec.build().to(GPU), clips, settings(batch_size, "bf16"), augment=Augment(**AUGMENT),
                normalise=Normalise(**spec.pixels, device=GPU), seed=1,
            )  # fmt: skip
            trainer.train_epoch(1, 4)
            torch.cuda.synchronize()
            started = time.perf_counter()
            with utilisation() as samples:
                trainer.train_epoch(2)
                torch.cuda.synchronize()
            rate = len(clips) / (time.perf_counter() - started)
            busy = float(np.mean(samples)) if samples else float("nan")
            measured[f"{name}, {kind}"] = {"clips_a_second": rate, "busy_percent": busy}
            click.echo(f"  {name:15} {kind:16} {rate:7.1f} clips/s, GPU busy {busy:3.0f} %", nl=False)
            if not workers:
                started = time.perf_counter()
                with evaluation_mode(trainer.network):
                    for batch in trainer.batches(1):
                        trainer.network(trainer._normalise(batch))
                torch.cuda.synchronize()
                predicted = len(clips) / (time.perf_counter() - started)
                measured[f"{name}, {kind}"]["predicted_a_second"] = predicted
                hours = EPOCHS * FOLDS * (TRAIN_CLIPS / rate + OTHER_CLIPS / predicted) / 3600
                measured[f"{name}, {kind}"]["ravdess_hours"] = hours
                click.echo(f", predicts {predicted:.1f} clips/s in fp32; RAVDESS {hours:.2f} h", nl=False)
            click.echo()
    return measured


def difference(network: nn.Module, batch: Batch, normalise: dict[str, Any]) -> float:
    """Return the greatest difference between the log-probabilities of the CPU and of the GPU, in fp32."""
    predicted = []
    for place in (CPU, GPU):
        with evaluation_mode(network.to(place)):
            predicted.append(network(Normalise(**normalise, device=place)(batch)).fused.cpu())
    return float((predicted[0] - predicted[1]).abs().max())


def measure_parity(folder: Path) -> dict[str, dict[str, float]]:
    """Compare each network on both devices: predictions, and the loss of an epoch at the small size."""
    measured: dict[str, dict[str, float]] = {}
    for name in ROWS:
        device.make_reproducible(1, 4, CPU, deterministic=False)
        spec = zoo.spec(name, paper_scale=True)
        of_large = difference(spec.build(), random_batch(spec, 2), spec.pixels)
        measured[name] = {"prediction": of_large}
        if name in TRAINED:
            measured[name] |= _small_epochs(name)
        figures = ", ".join(f"{what} {value:.1e}" for what, value in measured[name].items())
        click.echo(f"  {name:15} {figures}")
    return measured


def _small_epochs(name: str) -> dict[str, float]:
    """Train on each device, and twice on the GPU, without dropout, whose draws differ: differences of the loss."""
    spec = zoo.spec(name)
    arrays = {key: value.numpy() for key, value in random_batch(spec, 32).arrays.items()}
    losses = []
    for place in (CPU, GPU, GPU):
        device.make_reproducible(1, 4, place, deterministic=place == GPU)
        clips: Any = _InMemory(arrays, list(LABELS))
        network = spec.build()
        for module in network.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                module.p = 0.0
            elif isinstance(module, nn.MultiheadAttention):
                module.dropout = 0.0
        trainer = Trainer(
            network.to(place), clips, settings(8, "fp32"), augment=Augment(**AUGMENT),
            normalise=Normalise(**spec.pixels, device=place), seed=1,
        )  # fmt: skip
        losses.append([trainer.train_epoch(epoch) for epoch in (1, 2)])
    of_devices, of_runs = abs(losses[0][0] - losses[1][0]), abs(losses[1][1] - losses[2][1])
    return {"loss of CPU and GPU": of_devices, "loss of two runs on GPU": of_runs}


class _InMemory:
    """Clips that are arrays."""

    def __init__(self, arrays: dict[str, np.ndarray], labels: list[str]) -> None:
        self.arrays, self.labels = arrays, labels
        self.classes = np.arange(len(next(iter(arrays.values())))) % len(labels)

    def __len__(self) -> int:
        return len(self.classes)

    def __getitems__(self, positions: list[int]) -> Batch:
        arrays = {name: torch.from_numpy(array[positions]) for name, array in self.arrays.items()}
        return Batch(arrays, torch.from_numpy(self.classes[positions]))


@click.command(help=__doc__)
@click.option("--batch-size", default=16, show_default=True, help="Clips.")
@click.option("--clips", default=192, show_default=True, help="Of an epoch: 4.6 MB each, in a temporary folder.")
@click.option("--turns", default=10, show_default=True, help="Counted steps of each kind.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file for the figures.")
def main(batch_size: int, clips: int, turns: int, out: Path | None) -> None:
    if not torch.cuda.is_available():
        click.echo("torch finds no GPU: nothing is measured")
        return
    measured: dict[str, Any] = {"device": device.describe(GPU), "batch_size": batch_size}
    click.echo(f"{measured['device']}; batches of {batch_size} clips")
    with tempfile.TemporaryDirectory() as name:
        folder = write(Path(name), clips)
        for title, measure in (
            ("CFN-SR at the published size, a step", lambda: measure_steps(batch_size, turns)),
            ("epochs at the published size, in bf16", lambda: measure_epochs(folder, batch_size)),
            ("the greatest difference between CPU and GPU, in fp32", lambda: measure_parity(folder)),
        ):
            click.echo(title)
            measured[title] = measure()
            if out is not None:
                out.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
