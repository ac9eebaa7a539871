"""``cfnsr sheet``."""

from __future__ import annotations

from pathlib import Path

import click

from cfnsr import config
from cfnsr.cli.options import OUT_FILE, data_option, params_option
from cfnsr.cli.stage import echo
from cfnsr.data import shards
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import contact_sheet
from cfnsr.runtime.outputs import writing


@click.command()
@click.argument("actor")
@click.argument("out", type=OUT_FILE)
@params_option
@data_option
def sheet(actor: str, out: Path, params: Path, data: Path) -> None:
    """Draw all face crops of ACTOR into the picture OUT.

    Each row of the picture is a clip, each column a frame. Beyond 50 clips there are more pictures: OUT-2, OUT-3, ...

    \b
    Example:
      cfnsr sheet 01 sheet.png
    """
    values = config.load(params)
    if "video" not in values.modalities:
        raise CfnsrError(params, "modalities has audio alone: there are no face crops", "Draw another corpus's")
    shard = shards.read(data / values.corpus / "shards" / actor, values.modalities)
    with writing(out):
        paths = contact_sheet.write(out, shard)
    echo("\n".join(map(str, paths)))
