"""``cfnsr models``, ``import-checkpoint`` and ``export-checkpoint``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Column, Table

from cfnsr import config, corpora
from cfnsr.cli.options import IN_FILE, OUT_FILE, data_option, params_option, presets_option
from cfnsr.cli.stage import console
from cfnsr.config import preset
from cfnsr.errors import CfnsrError
from cfnsr.inference.card import Card, shipped
from cfnsr.runtime.outputs import writing

if TYPE_CHECKING:
    from cfnsr.models.spec import ModelSpec


@click.command()
@click.argument("name", required=False)
@params_option
@click.option("--preset", "preset_name", help="List the sizes of this preset, not of params.yaml.")
@presets_option
@data_option
@click.option(
    "--depth", default=4, show_default=True, type=click.IntRange(1), help="How many levels of layers to show."
)
@click.option("--cards", is_flag=True, help="List only the trained models, which is faster.")
def models(
    name: str | None, params: Path, preset_name: str | None, presets: Path, data: Path, depth: int, cards: bool
) -> None:
    """List the networks with sizes and published figures, and the trained models with cards.

    With NAME, list one network's layers. A card says what a model was trained on, how well it does on other speakers
    and on other corpora, and what it is not for.

    \b
    Examples:
      cfnsr models                        at the sizes of params.yaml
      cfnsr models --cards                only the trained models
      cfnsr models --preset paper_scale   at the published sizes
      cfnsr models cfnsr --depth 3        its layers
    """
    if cards:
        if name is not None:
            raise CfnsrError("--cards", "lists trained models, and NAME names a network", "Give only one of the two")
        _print_cards(data)
        return
    from cfnsr.models import summary  # imports torch

    if preset_name is None:
        values = config.load(params)
    else:
        overlay = presets / f"{preset_name}.yaml"
        values = config.check(preset.load(overlay), overlay)
    if name is None:
        table, notes = _overview(values)
        terminal = console()
        terminal.print(table)
        for note in notes:
            terminal.print(note, style="dim", highlight=False, markup=False)
        _print_cards(data)
    elif name in summary.names():
        click.echo(summary.layers(untrained_spec(values, name), depth))
    else:
        raise CfnsrError(name, "there is no such network", f"Choose one of: {', '.join(summary.names())}")


@click.command("import-checkpoint")
@click.option(
    "--system",
    required=True,
    type=click.Choice(["video", "audio", "msaf", "cfnsr"]),
    help="The network that the file holds.",
)
@click.option(
    "--fold",
    required=True,
    help="The fold in params.yaml whose test speakers the network was not trained on.",
)
@click.argument("published", type=IN_FILE)
@click.argument("out", type=OUT_FILE)
def import_checkpoint(system: str, fold: str, published: Path, out: Path) -> None:
    """Convert a PUBLISHED state dict (.pth) to a model of this pipeline, OUT.

    Only tensors are read from it, never code. Evaluate it by the preset `evaluate` (docs/checkpoints.md).

    \b
    Example:
      cfnsr import-checkpoint --system cfnsr --fold fold_1 RAVDESS_best_0.pth checkpoints/cfnsr/fold_1.safetensors
    """
    from cfnsr.models import checkpoint  # imports torch
    from cfnsr.models import published as exchange

    network, spec = exchange.read(system, fold, published)
    with writing(out):
        checkpoint.save(out, network, spec)
    click.echo(f"{out}: {system}, {sum(value.numel() for value in network.parameters()):,} parameters")


@click.command("export-checkpoint")
@click.argument("model", type=IN_FILE)
@click.argument("out", type=OUT_FILE)
def export_checkpoint(model: Path, out: Path) -> None:
    """Write MODEL (safetensors) as a state dict (.pth) for the published code.

    \b
    Example:
      cfnsr export-checkpoint checkpoints/cfnsr/fold_1.safetensors cfnsr_fold_1.pth
    """
    from cfnsr.models import published  # imports torch

    with writing(out):
        system = published.export(model, out)
    click.echo(f"{out}: {system}")


def untrained_spec(values: config.Params, name: str, options: dict[str, Any] | None = None) -> ModelSpec:
    """Describe a network at the sizes of params.yaml, only to be measured or checked.

    Args:
        values: the params.
        name: a modality, or a system.
        options: the system's; those of its section if None.
    """
    from cfnsr.models.spec import ModelSpec  # imports torch
    from cfnsr.models.types import MODALITIES
    from cfnsr.preprocessing.extract import ExtractOptions, clip_shapes

    labels = corpora.get(values.corpus).labels(**getattr(values.corpora, values.corpus).model_dump())
    modalities = [name] if name in MODALITIES else MODALITIES
    if options is None:
        options = {} if name in MODALITIES else values.system(name).options
    shapes = clip_shapes(ExtractOptions(**values.extract.model_dump()))
    encoders = {modality: values.encoders.of(modality) for modality in modalities}
    return ModelSpec.untrained(name, labels, encoders, options, shapes)


def _print_cards(data: Path) -> None:
    """Print the cards of the trained models: the best of each corpus, and those that come with cfnsr."""
    best = sorted(data.glob("*/best/model.safetensors"))
    models = {str(path.parent): path for path in best} | {path.parent.name: path for path in shipped()}
    terminal = console()

    def line(text: str, **style: Any) -> None:
        terminal.print(text, highlight=False, markup=False, soft_wrap=True, **style)

    line("\nTrained models: cfnsr predict --model NAME. The name best means that of the corpus in params.yaml.")
    for name, path in models.items():
        card = Card.of(path)
        line(f"\n{name}" + (f": {card.row}" if card.row else ""), style="bold")
        line(f"  emotions: {', '.join(card.labels) or 'not known'}")
        line(f"  trained on {card.trained_on()}")
        for figure in card.figures():
            line(f"  {figure}")
        line(f"  {card.not_for}. Licences: {card.licence or 'not known'}")
    if not best:
        line(f"\n{data} has no best model yet: dvc repro chooses it.", style="dim")


def _overview(values: config.Params) -> tuple[Table, list[str]]:
    """Draw the table of all networks at the sizes of params; return it with notes on its figures."""
    from cfnsr.models import summary  # imports torch
    from cfnsr.models.types import MODALITIES

    video = values.extract.video
    table = Table(
        "System",
        *(Column(name, justify="right") for name in ("Parameters", "GFLOPs")),
        "Fusion",
        *(Column(name, justify="right") for name in ("Published %", "Published parameters")),
        "Paper",
        title=f"One clip of {video.frames} frames of {video.side_px}x{video.side_px} pixels",
    )
    notes = [
        "Published: accuracy on RAVDESS and parameters, by protocols that choose the epoch on the test fold "
        "(docs/decisions/0002-held-out.md). A multiplication and an addition count as two FLOPs."
    ]
    for name in summary.names():
        if name not in (*MODALITIES, *values.systems):
            notes.append(f"{name} has no section under `systems` in params.yaml.")
            continue
        size = summary.size(untrained_spec(values, name))
        publication = size.publication
        table.add_row(
            name,
            f"{size.parameters:,}",
            f"{size.flops / 1e9:.4g}",
            publication.fusion,
            "–" if publication.accuracy is None else f"{publication.accuracy:.2f}",
            "–" if publication.parameters is None else f"{publication.parameters:.2f} M",
            "–" if publication.paper is None else f"arXiv:{publication.paper}",
        )
        if publication.reconstructed:
            notes.append(f"{name} is a reconstruction: {publication.reconstructed}.")
    return table, notes
