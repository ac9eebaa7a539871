"""``cfnsr offline-plots``."""

from __future__ import annotations

from pathlib import Path

import click

from cfnsr.cli import stage
from cfnsr.errors import CfnsrError

_DVC = Path(".dvc")
_FRAME = _DVC / "tmp" / "plots.html"


@click.command("offline-plots")
def offline_plots() -> None:
    """Have DVC draw its plots without a network: `dvc plots show` and `dvc plots diff`.

    Writes a frame that holds the drawing library into .dvc/tmp, and names it in .dvc/config.local, unless you have
    named one of your own there; `make setup` does it.

    Example: cfnsr offline-plots
    """
    from dvc.config import Config, ConfigError  # the other commands need not wait for these

    from cfnsr.report.page import dvc_plots

    with stage.one_line_errors():
        if not (_DVC / "config").is_file():
            raise CfnsrError(_DVC / "config", "is missing", "Run from the repository's root")
        dvc_plots.write(_FRAME)
        ours = str(_FRAME.relative_to(_DVC))
        try:
            with Config(str(_DVC.resolve())).edit("local") as settings:
                assert isinstance(settings, dict)
                named = settings.setdefault("plots", {}).setdefault("html_template", ours)
        except ConfigError as error:
            raise CfnsrError(_DVC / "config.local", str(error), "Mend it, or delete it") from error
    click.echo(f"DVC draws its plots with {_FRAME if named == ours else named}")
