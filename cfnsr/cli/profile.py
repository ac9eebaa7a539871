"""``cfnsr profile``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Column, Table

from cfnsr import config
from cfnsr.cli.options import data_option, params_option
from cfnsr.cli.stage import console
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError

if TYPE_CHECKING:
    from cfnsr.config import Params
    from cfnsr.training.loop import Trainer

PHASES = ("load", "augment", "forward", "backward", "optimiser")
WARM_UP = 2  # steps


@click.command()
@click.argument("name")
@click.option("--fold", help="The fold whose training clips are used.  [default: the first]")
@click.option("--steps", default=8, show_default=True, type=click.IntRange(1), help="Steps to measure.")
@params_option
@data_option
def profile(name: str, fold: str | None, steps: int, params: Path, data: Path) -> None:
    """Train the row NAME for a few steps, and print where their time goes.

    The last line says whether the data or the network limits the speed. Uses this run's shards and params.yaml, and
    fresh weights. Writes nothing.

    \b
    Examples:
      cfnsr profile cfnsr
      cfnsr profile video --steps 20
    """
    values = config.load(params)
    folder = data / values.corpus
    manifest = Manifest.read(folder / "manifest.json")
    trial = Trial(values.run.protocols[0], fold or manifest.folds[0], values.run.seeds[0])
    trainer = new_trainer(values, name, trial, manifest, folder / "shards")
    seconds = seconds_per_step(trainer, steps)
    total, clips = sum(seconds.values()), trainer.settings.batch_size
    title = f"{name}: {steps} steps of {clips} clips, {1000 * total / clips:.1f} ms a clip"
    table = Table("Phase", Column("ms a step", justify="right"), Column("Share", justify="right"), title=title)
    for phase, spent in {**seconds, "all": total}.items():
        table.add_row(phase, f"{1000 * spent:.1f}", f"{spent / total:.0%}")
    console().print(table)
    data_share = (seconds["load"] + seconds["augment"]) / total
    limit = "the data limit" if data_share > 0.5 else "the network limits"
    click.echo(f"Loading and augmenting take {data_share:.0%} of a step: {limit} the speed.")


def new_trainer(values: Params, name: str, trial: Trial, manifest: Manifest, shards: Path) -> Trainer:
    """Create the trainer of a row, its network with fresh weights.

    Raises:
        CfnsrError: there is no such row, or it trains nothing.
    """
    # These import torch, which the other commands do without.
    from cfnsr.data.dataset import FoldDatasets
    from cfnsr.evaluation import device as devices
    from cfnsr.evaluation import initial, missing_modality
    from cfnsr.evaluation.predict import Normalise
    from cfnsr.models import fusion
    from cfnsr.models.types import MODALITIES
    from cfnsr.training.run import new_trainer
    from cfnsr.training.settings import TrainingSettings

    modalities = [name] if name in MODALITIES else MODALITIES
    system, options = (name, {}) if name in MODALITIES else _system(values, name)
    training = getattr(values.pretrain, name) if name in MODALITIES else values.system(system).training
    if training is None:
        raise CfnsrError(name, "trains nothing", "Choose a row that is trained")
    shared, pixels = values.train.model_dump(), values.pixels.model_dump()
    device = devices.pick(shared["device"])
    devices.keep_freed_memory()
    devices.make_reproducible(trial.seed, shared["threads"], device, deterministic=shared["deterministic"])
    networks: dict[str, Any] = {}
    for modality in modalities:
        encoder = values.encoders.of(modality)
        networks[modality], _ = initial.unimodal(modality, encoder, trial, manifest, pixels=pixels)
    if name not in MODALITIES:
        video, audio = (networks[modality].encoder for modality in MODALITIES)
        for encoder in (video, audio):
            encoder.stages.requires_grad_(not shared["freeze_encoders"])
        networks[name] = fusion.build(system, video, audio, len(manifest.labels), **options)
    settings = TrainingSettings.of(training.model_dump(), shared, devices.pick_precision(shared["precision"], device))
    fold = FoldDatasets.open(trial, shards, manifest).reading(missing_modality.read_by(networks[name]))
    return new_trainer(networks[name].to(device), fold, settings, shared["augment"], Normalise(**pixels, device=device))


def _system(values: Params, name: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the options of the system behind a row, which may be one of its ablations."""
    variant = values.ablations.variants.get(name)
    system = name if variant is None else values.ablations.system
    return system, {**values.system(system).options, **(variant or {})}


def seconds_per_step(trainer: Trainer, steps: int) -> dict[str, float]:
    """Measure the seconds that a training step spends in each of ``PHASES``.

    On a GPU the CPU waits after each epoch's last step only: there a phase's time is that of its kernels.

    Args:
        trainer: its network is trained.
        steps: batches to average over; two more come before.
    """
    import torch
    from torch.profiler import ProfilerActivity, profile

    def train(batches: int) -> None:
        epoch_length = len(trainer.batches(epoch=1))
        for first in range(0, batches, epoch_length):
            trainer.train_epoch(1, min(epoch_length, batches - first))

    train(WARM_UP)
    cuda = torch.cuda.is_available()
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as profiler:
        train(steps)
    events = {event.key: event for event in profiler.key_averages() if event.key in PHASES}
    seconds = {phase: events[phase].cpu_time_total / 1e6 / steps for phase in PHASES}
    if cuda:
        seconds = {phase: max(seconds[phase], events[phase].device_time_total / 1e6 / steps) for phase in PHASES}
    return seconds
