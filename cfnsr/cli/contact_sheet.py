"""``cfnsr sheet``."""

from __future__ import annotations

from pathlib import Path

import click

from cfnsr import config
from cfnsr.cli.options import OUT_FILE, data_option, params_option
from cfnsr.data import shards
from cfnsr.preprocessing import contact_sheet


@click.command()
@click.argument("actor")
@click.argument("out", type=OUT_FILE)
@params_option
@data_option
def sheet(actor: str, out: Path, params: Path, data: Path) -> None:
    """Draw all face crops of ACTOR into the picture OUT.

    Each row of this contact sheet is a clip, each column a frame.

    \b
    Example:
      cfnsr sheet 01 sheet.png
    """
    contact_sheet.write(out, shards.read(data / config.load(params).corpus / "shards" / actor))
    click.echo(f"{out}")
