"""``cfnsr models``: what networks there are, and how large; and published checkpoints, in and out."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from cfnsr import config
from cfnsr.cli.options import IN_FILE, OUT_FILE, params_option, presets_option
from cfnsr.cli.stage import console, one_line_errors
from cfnsr.config import preset
from cfnsr.errors import CfnsrError

COLUMNS = ("System", "Parameters", "GFLOPs", "Fusion", "Published %", "Published parameters", "Paper")


@click.command()
@click.argument("name", required=False)
@params_option
@click.option("--preset", "as_preset", help="Sizes as this preset would have them.")
@presets_option
@click.option("--depth", default=4, show_default=True, type=click.IntRange(1), help="Levels of layers shown of NAME.")
def models(name: str | None, params: Path, as_preset: str | None, presets: Path, depth: int) -> None:
    """List the networks with their sizes and what was published of them; with NAME, one network's layers.

    \b
    Examples:
      cfnsr models                        at the sizes of params.yaml
      cfnsr models --preset paper_scale   at the published ones
      cfnsr models cfnsr --depth 3        its layers
    """
    with one_line_errors():
        values = _as_if(params, presets / f"{as_preset}.yaml" if as_preset else None)
        if name is not None:
            click.echo(_layers(values, name, depth))
            return
        table, notes = _overview(values)
    terminal = console()
    terminal.print(table)
    for note in notes:
        terminal.print(note, style="dim", highlight=False, markup=False)


@click.command("import-checkpoint")
@click.option("--system", required=True, type=click.Choice(["video", "audio", "msaf", "cfnsr"]), help="What it is of.")
@click.option("--fold", required=True, help="The fold whose test speakers it was not trained on: as in params.yaml.")
@click.argument("published", type=IN_FILE)
@click.argument("out", type=OUT_FILE)
def import_checkpoint(system: str, fold: str, published: Path, out: Path) -> None:
    """Turn a PUBLISHED state dict (.pth) into a model of ours, OUT.

    Only tensors are read from it, never code. Evaluate it by the preset `evaluate` (docs/checkpoints.md).

    \b
    Example: cfnsr import-checkpoint --system cfnsr --fold fold_1
             RAVDESS_best_0.pth checkpoints/cfnsr/fold_1.safetensors
    """
    from cfnsr.models import checkpoint  # imports torch
    from cfnsr.models import published as exchange

    with one_line_errors():
        network, described = exchange.read(system, fold, published)
        with _writing(out):
            checkpoint.save(out, network, described)
    click.echo(f"{out}: {system}, {sum(value.numel() for value in network.parameters()):,} parameters")


@click.command("export-checkpoint")
@click.argument("model", type=IN_FILE)
@click.argument("out", type=OUT_FILE)
def export_checkpoint(model: Path, out: Path) -> None:
    """Write MODEL (safetensors) as a state dict (.pth) for the published code.

    Example: cfnsr export-checkpoint checkpoints/cfnsr/fold_1.safetensors cfnsr_fold_1.pth
    """
    from cfnsr.models import published  # imports torch

    with one_line_errors(), _writing(out):
        system = published.export(model, out)
    click.echo(f"{out}: {system}")


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """A place that cannot be written to is the user's to mend."""
    try:
        yield
    except OSError as error:
        raise CfnsrError(out, f"cannot be written ({error.strerror})", "Name another place") from error


def _as_if(params: Path, overlay: Path | None) -> config.Params:
    """The params, or what a preset would make of them; the file stays as it is."""
    if overlay is None:
        return config.load(params)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(params, folder))
        preset.apply(copy, overlay)
        return config.load(copy)


def _overview(values: config.Params) -> tuple[Table, list[str]]:
    """All networks at the sizes of params, and what a reader must know beside the figures."""
    from cfnsr.models import summary  # imports torch

    inputs = summary.Inputs.of(values.extract.video.model_dump(), values.extract.audio.model_dump())
    table = Table(title=f"One clip of {inputs.frames} frames of {inputs.side_px}x{inputs.side_px} pixels")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in COLUMNS[1:6] and column != "Fusion" else "left")
    notes = [
        "Published: accuracy on RAVDESS and parameters, by protocols that choose the epoch on the test fold "
        "(docs/decisions/0002-held-out.md). A multiplication and an addition count as two FLOPs."
    ]
    for name in summary.names():
        if name not in values.systems and name not in ("video", "audio"):
            notes.append(f"{name} has no section under `systems` in params.yaml.")
            continue
        counted = summary.size(name, _built(values, name, inputs), inputs)
        about = counted.publication
        table.add_row(
            name,
            f"{counted.parameters:,}",
            f"{counted.flops / 1e9:.4g}",
            about.fusion,
            "–" if about.accuracy is None else f"{about.accuracy:.2f}",
            "–" if about.parameters is None else f"{about.parameters:.2f} M",
            "–" if about.paper is None else f"arXiv:{about.paper}",
        )
        if about.reconstructed:
            notes.append(f"{name} is a reconstruction: {about.reconstructed}.")
    return table, notes


def _layers(values: config.Params, name: str, depth: int) -> str:
    """One network's layers.

    Raises:
        CfnsrError: there is no such network.
    """
    from cfnsr.models import summary  # as above

    if name not in summary.names():
        raise CfnsrError(name, "there is no such system", f"Name one of: {', '.join(summary.names())}")
    inputs = summary.Inputs.of(values.extract.video.model_dump(), values.extract.audio.model_dump())
    return summary.layers(_built(values, name, inputs), inputs, depth)


def _built(values: config.Params, name: str, inputs: Any) -> Any:
    from cfnsr import corpora
    from cfnsr.models import summary  # as above

    classes = len(corpora.get(values.corpus).labels(**getattr(values.corpora, values.corpus).model_dump()))
    options = {} if name in ("video", "audio") else values.system(name).options
    return summary.build(name, classes, values.encoders.model_dump(), options, inputs)
