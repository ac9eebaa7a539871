"""``cfnsr report``."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import click

from cfnsr import config
from cfnsr.cli import stage
from cfnsr.errors import CfnsrError


@click.command()
@stage.params_option
@click.option("--metrics", type=stage.OF_ROOT, default=Path("metrics"), show_default=True, help="Where results are.")
@click.option(
    "--with-run-info",
    "out",
    type=stage.OUT_FILE,
    help="Write a copy of the page that also says when and where it was made, at which commit, and how long it took.",
)
def report(params: Path, metrics: Path, out: Path | None) -> None:
    """Say where the last run's page is; the page that DVC keeps says nothing that differs from run to run.

    \b
    Examples:
      cfnsr report
      cfnsr report --with-run-info run.html
    """
    with stage.one_line_errors():
        corpus = config.load(params).corpus
        path = metrics / corpus / "report.html"
        if out is not None:
            from cfnsr.report import page  # imports Altair and pandas, a second

            page.with_run_info(path, out, _info(corpus))
            path = out
        elif not path.is_file():
            raise CfnsrError(path, "is missing", "Run `dvc repro report`, or `dvc checkout`")
    click.echo(f"{path}: open it in a browser; it needs no network")


def _info(corpus: str) -> list[tuple[str, str]]:
    spent = stage.times(corpus)
    return [
        ("Written", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
        ("Commit", _commit()),
        ("Trained on", "; ".join(stage.facts(corpus, "device")) or "not noted"),
        *((f"{stage}, {runs} runs", f"{seconds:.1f} s") for stage, (runs, seconds) in spent.items()),
        ("All stages", f"{sum(seconds for _, seconds in spent.values()):.1f} s"),
    ]


def _commit() -> str:
    """The checkout's, with a mark where files differ from it."""
    try:
        asked = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        return "not known: there is no git"
    return asked.stdout.strip() or "not known: this is no git repository"
