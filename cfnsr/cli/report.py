"""``cfnsr report``."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import click

from cfnsr import config
from cfnsr.cli import timing
from cfnsr.cli.options import OUT_FILE, metrics_option, params_option
from cfnsr.errors import CfnsrError
from cfnsr.report.expected import label
from cfnsr.runtime import stored
from cfnsr.runtime.outputs import writing


@click.command()
@params_option
@metrics_option
@click.option(
    "--with-run-info",
    "out",
    type=OUT_FILE,
    help="Write a copy of the page to this file, with the date, the commit, the device and the times of this run.",
)
def report(params: Path, metrics: Path, out: Path | None) -> None:
    """Print the path of the last run's page.

    The page itself is the same for the same results; `--with-run-info` writes a copy that also describes the run.

    \b
    Examples:
      cfnsr report
      cfnsr report --with-run-info run.html
    """
    corpus = config.load(params).corpus
    path = metrics / corpus / "report.html"
    if out is not None:
        from cfnsr.report import page  # imports Altair and pandas, which take a second

        with writing(out):
            page.with_run_info(path, out, _run_info(corpus, params.parent))
        path = out
    elif not path.is_file():
        raise CfnsrError(path, "is missing", stored.AGAIN)
    click.echo(f"{path}: open it in a browser; it needs no network")


def _run_info(corpus: str, root: Path) -> list[tuple[str, str]]:
    times, of_jobs = timing.read_times(corpus, root), timing.read_job_times(corpus)
    return [
        ("Written", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
        ("Commit", _commit()),
        ("Trained on", "; ".join(timing.read_facts(corpus, "device")) or "not known"),
        *((f"{label(*row)}, mean of {jobs} jobs", f"{seconds:.1f} s") for row, (jobs, seconds) in of_jobs.items()),
        *((f"{stage}, {runs} runs", f"{seconds:.1f} s") for stage, (runs, seconds) in times.items()),
        ("All stages", f"{sum(seconds for _, seconds in times.values()):.1f} s"),
    ]


def _commit() -> str:
    """Return the commit that is checked out, with "-dirty" if files differ from it."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        return "not known: there is no git"
    return described.stdout.strip() or "not known: this is no git repository"
