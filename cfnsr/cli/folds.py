"""``cfnsr folds``."""

from __future__ import annotations

from pathlib import Path

import click

from cfnsr.cli.options import params_option
from cfnsr.config import folds as named_folds
from cfnsr.config import preset
from cfnsr.config.yaml_files import read_yaml


@click.command()
@click.argument("name", required=False)
@click.option(
    "--count", default=6, show_default=True, type=click.IntRange(3), help="Number of folds; for balanced only."
)
@params_option
def folds(name: str | None, count: int, params: Path) -> None:
    """Write the folds NAME of the speakers into params.yaml; without NAME, list the names.

    params.yaml holds the folds themselves, because DVC makes one job of each: `folds: NAME` there is refused. A preset
    brings its own folds, so run this command after `cfnsr preset`.

    \b
    Examples:
      cfnsr folds                               list the names
      cfnsr folds emobox
      cfnsr folds balanced --count 5
    """
    if name is None:
        width = max(map(len, named_folds.names()))
        for known, summary in named_folds.names().items():
            click.echo(f"{known:{width}}  {summary}")
        return
    values = read_yaml(params)
    actors = [str(actor) for actor in values.get("actors") or []]
    folds = named_folds.named(name, str(values.get("corpus")), actors, count)
    changes = preset.update(params, {"folds": folds})
    click.echo("\n".join(changes) if changes else "nothing to change")
