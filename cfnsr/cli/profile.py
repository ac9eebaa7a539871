"""``cfnsr profile``."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from cfnsr import config
from cfnsr.cli import stage
from cfnsr.cli.options import data_option, params_option
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError

if TYPE_CHECKING:
    from cfnsr.config import Params
    from cfnsr.models.spec import ModelSpec
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
    """Train the row NAME for a few steps, and print where their time goes: whether data or compute limits the speed.

    Uses this run's shards and params.yaml, and fresh weights. Writes nothing.

    \b
    Examples:
      cfnsr profile cfnsr
      cfnsr profile video --steps 20
    """
    with stage.one_line_errors():
        values = config.load(params)
        folder = data / values.corpus
        manifest = Manifest.read(folder / "manifest.json")
        trial = Trial(values.run.protocols[0], fold or manifest.folds[0], values.run.seeds[0])
        trainer = new_trainer(values, name, trial, manifest, folder / "shards")
        seconds = seconds_per_step(trainer, steps)
    total, clips = sum(seconds.values()), trainer.settings.batch_size
    table = Table(title=f"{name}: {steps} steps of {clips} clips, {1000 * total / clips:.1f} ms a clip")
    for column in ("Phase", "ms a step", "Share"):
        table.add_column(column, justify="left" if column == "Phase" else "right")
    for phase, spent in {**seconds, "all": total}.items():
        table.add_row(phase, f"{1000 * spent:.1f}", f"{spent / total:.0%}")
    stage.console().print(table)
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
    from cfnsr.evaluation.predict import Normalise
    from cfnsr.models.types import MODALITIES
    from cfnsr.training.run import new_trainer
    from cfnsr.training.settings import TrainingSettings

    spec, training = _spec(values, name, trial, manifest)
    shared = values.train.model_dump()
    device = devices.pick(shared["device"])
    devices.keep_freed_memory()
    devices.make_reproducible(trial.seed, shared["threads"], device, deterministic=shared["deterministic"])
    encoders: dict[str, Any] | None = None
    if spec.name not in MODALITIES and shared["freeze_encoders"]:
        unimodal: list[Any] = [replace(spec, name=modality).build() for modality in MODALITIES]
        encoders = {network.modality: network.encoder for network in unimodal}
        for encoder in encoders.values():
            encoder.stages.requires_grad_(False)
    network = spec.build(encoders)
    settings = TrainingSettings.of(training, shared, devices.pick_precision(shared["precision"], device))
    fold = FoldDatasets.open(trial, shards, manifest)
    normalise = Normalise(**spec.pixels, device=device)
    return new_trainer(network.to(device), fold, settings, shared["augment"], normalise)


def _spec(values: Params, name: str, trial: Trial, manifest: Manifest) -> tuple[ModelSpec, dict[str, Any]]:
    """Describe the network of a row, and how it is trained."""
    from cfnsr.models.spec import ModelSpec
    from cfnsr.models.types import MODALITIES

    sections = {modality: getattr(values.encoders, modality) for modality in MODALITIES}
    encoders = {modality: {"name": section.name, **section.options} for modality, section in sections.items()}
    options: dict[str, Any] = {}
    if name in MODALITIES:
        section, network, encoders = getattr(values.pretrain, name), name, {name: encoders[name]}
    else:
        variant = values.ablations.variants.get(name)
        network = name if variant is None else values.ablations.system
        system = values.system(network)
        section, options = system.training, {**system.options, **(variant or {})}
    if section is None:
        raise CfnsrError(name, "trains nothing", "Choose a row that is trained")
    spec = ModelSpec(
        name=network,
        labels=manifest.labels,
        encoders=encoders,
        options=options,
        inputs=manifest.shapes,
        **asdict(trial),
        pixels=values.pixels.model_dump(),
        preprocessing=manifest.preprocessing,
        data=manifest.fingerprint,
        imported=[],
    )
    return spec, section.model_dump()


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
