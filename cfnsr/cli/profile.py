"""``cfnsr profile``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from cfnsr import config
from cfnsr.cli import stage
from cfnsr.cli.options import data_option, params_option
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError

if TYPE_CHECKING:
    from torch import nn

    from cfnsr.config import Params
    from cfnsr.training.clock import Clock


@click.command()
@click.argument("name")
@click.option("--fold", help="Whose training clips; the first, if not said.")
@click.option("--steps", default=8, show_default=True, type=click.IntRange(1), help="Measured; two more come before.")
@params_option
@data_option
def profile(name: str, fold: str | None, steps: int, params: Path, data: Path) -> None:
    """Train the row NAME for a few steps, and print where their time goes: whether data or compute limits them.

    Works on this run's shards, with its params and fresh weights; nothing is written.

    \b
    Examples:
      cfnsr profile cfnsr
      cfnsr profile video --steps 20
    """
    with stage.one_line_errors():
        values = config.load(params)
        folder = data / values.corpus
        if not (folder / "manifest.json").is_file():
            raise CfnsrError(folder / "manifest.json", "is missing", "Run `dvc repro check`")
        manifest = Manifest.read(folder / "manifest.json")
        trial = Trial(values.run.protocols[0], fold or manifest.folds[0], values.run.seeds[0])
        clock, size = _measured(values, name, trial, manifest, folder / "shards", steps)
    stage.console().print(_drawn(name, clock.seconds, steps, size))
    data_share = (clock.seconds["load"] + clock.seconds["augment"]) / sum(clock.seconds.values())
    limit = "the data limit" if data_share > 0.5 else "the network limits"
    click.echo(f"Loading and augmenting take {data_share:.0%} of a step: {limit} the speed.")


def _measured(
    values: Params, name: str, trial: Trial, manifest: Manifest, shards: Path, steps: int
) -> tuple[Clock, int]:
    """The time that each phase took over all steps, and how many clips a step has."""
    from cfnsr.data.fold import FoldDatasets
    from cfnsr.evaluation import (
        device,
        memory,  # imports torch, for which the other commands need not wait
        predict,
    )
    from cfnsr.training.clock import Clock
    from cfnsr.training.lesson import lesson_of
    from cfnsr.training.settings import Recipe

    memory.keep()
    place = device.pick(values.train.device)
    device.make_reproducible(trial.seed, values.train.threads, place, deterministic=values.train.deterministic)
    network, training = _fresh(values, name, manifest)
    shared = values.train.model_dump()
    recipe = Recipe.of(training, shared, device.pick_precision(shared["precision"], place))
    if recipe.compile:
        device.needs_compiler(place)
    prepare = predict.Normalise(**values.pixels.model_dump(), device=place)
    clock = Clock(place)
    opened = FoldDatasets.open(trial, shards, manifest)
    lesson = lesson_of(network.to(place), opened, recipe, shared["augment"], prepare, watch=clock)
    lesson.batches(min(2, len(lesson)))
    clock.seconds.clear()
    for first in range(0, steps, len(lesson)):
        lesson.batches(min(len(lesson), steps - first))
    return clock, recipe.batch_size


def _fresh(values: Params, name: str, manifest: Manifest) -> tuple[nn.Module, dict[str, float]]:
    """A row's network with random weights, and how it is trained.

    Raises:
        CfnsrError: there is no such row, or it trains nothing.
    """
    from cfnsr.models import checkpoint, encoders

    coefficients, length = manifest.shapes["mfcc"]
    read = values.encoders.model_dump()
    read["audio"] |= {"coefficients": coefficients, "steps": length}
    if name in checkpoint.MODALITIES:
        section, options = getattr(values.pretrain, name), {}
        read = {name: read[name]}
    else:
        varied = values.ablations.variants.get(name)
        system = values.system(name if varied is None else values.ablations.system)
        section, options = system.training, {**system.options, **(varied or {})}
        name = name if varied is None else values.ablations.system
    if section is None:
        raise CfnsrError(name, "trains nothing", "Name another row")
    described = {"name": name, "labels": manifest.labels, "encoders": read, "options": options}
    fresh = {modality: encoders.build(modality, len(manifest.labels), **read[modality]) for modality in read}
    if name not in checkpoint.MODALITIES and values.train.freeze_encoders:
        for encoder in fresh.values():
            encoder.trunk.requires_grad_(False)
    return checkpoint.build(described, fresh), section.model_dump()


def _drawn(name: str, seconds: dict[str, float], steps: int, clips: int) -> Table:
    total = sum(seconds.values())
    drawn = Table(title=f"{name}: {steps} steps of {clips} clips, {1000 * total / steps / clips:.1f} ms a clip")
    for column in ("Phase", "ms a step", "Share"):
        drawn.add_column(column, justify="left" if column == "Phase" else "right")
    for phase, spent in seconds.items():
        drawn.add_row(phase, f"{1000 * spent / steps:.1f}", f"{spent / total:.0%}")
    drawn.add_row("all", f"{1000 * total / steps:.1f}", "100%")
    return drawn
