"""Types and options that the commands and the stages share."""

from __future__ import annotations

from pathlib import Path

import click

PARAMS, PRESETS, DATA, METRICS = Path("params.yaml"), Path("presets"), Path("data"), Path("metrics")

IN_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
IN_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
OUT_FILE = click.Path(path_type=Path, dir_okay=False)
OUT_FOLDER = click.Path(path_type=Path, file_okay=False)
# A folder of the repository. It need not exist: outside the repository's root, the first missing file says so.
OF_ROOT = click.Path(path_type=Path, file_okay=False)

params_option = click.option(
    "--params", type=click.Path(path_type=Path), default=PARAMS, show_default=True, help="The file of parameters."
)
presets_option = click.option(
    "--presets", type=OF_ROOT, default=PRESETS, show_default=True, help="The folder of presets."
)
data_option = click.option("--data", type=OF_ROOT, default=DATA, show_default=True, help="The folder of data.")
metrics_option = click.option(
    "--metrics", type=OF_ROOT, default=METRICS, show_default=True, help="The folder of results."
)
