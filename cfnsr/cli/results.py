"""``cfnsr results``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Column, Table

from cfnsr import config
from cfnsr.cli import timing
from cfnsr.cli.options import metrics_option, params_option
from cfnsr.cli.stage import console
from cfnsr.report import cross_table, files, notes, table
from cfnsr.report.expected import label
from cfnsr.report.rows import ResultRow


@click.command()
@params_option
@metrics_option
def results(params: Path, metrics: Path) -> None:
    """Print the results of the last run, and how long each stage took.

    \b
    Example:
      cfnsr results
    """
    corpus = config.load(params).corpus
    rows = files.read(metrics / corpus)
    differences = files.read_differences(metrics / corpus)
    times = timing.read_times(corpus, params.parent)
    terminal = console()
    if not times:
        terminal.print("No stage has run here: these results came with the repository.")
    columns = table.columns_of(rows)
    drawn = _table(rows, corpus, columns)
    if terminal.measure(drawn, options=terminal.options.update(width=1000)).maximum > terminal.width:
        drawn = _table(rows, corpus, [column for column in columns if column.brief])
        terminal.print(f"The terminal is too narrow for all columns; they are in {metrics / corpus}/results.csv.")
    terminal.print(drawn)
    for note in notes.footnotes(rows, differences, corpus):
        terminal.print(note, style="dim", highlight=False, markup=False)
    others = files.read_cross(metrics / corpus)
    if others:
        drawn = Table(title=cross_table.TITLE)
        for number, (name, _) in enumerate(cross_table.HEADERS):
            drawn.add_column(name, justify="left" if number < cross_table.WORDS else "right")
        for row in others:
            drawn.add_row(*cross_table.cells_of(row))
        terminal.print(drawn)
        for note in cross_table.notes(others, corpus):
            terminal.print(note, style="dim", highlight=False, markup=False)
    # Without its file named, DVC compares the corpus of params.yaml with the last commit's, which may be another.
    terminal.print(f"Compare with the last commit: dvc metrics diff --targets {metrics / corpus / 'metrics.json'}")
    if times:
        terminal.print("How long the last run of each stage took, without DVC's own work:")
        terminal.print(_times_table(times))
        named = {label(*row): mean for row, mean in timing.read_job_times(corpus).items()}
        jobs = {row.name: named[row.name] for row in rows if row.name in named}
        if jobs:
            terminal.print(_jobs_table(jobs))


def _table(rows: list[ResultRow], corpus: str, columns: Sequence[table.Column]) -> Table:
    drawn = Table(title=table.title(rows, corpus))
    for column in columns:
        justify = "left" if column is table.COLUMNS[0] else "right"
        drawn.add_column(column.name, justify=justify, style="dim" if column.aside else None, no_wrap=True)
    for row in rows:
        drawn.add_row(*table.cells_of(row, columns), style="red" if row.seen == "yes" else None)
    return drawn


def _times_table(times: dict[str, tuple[int, float]]) -> Table:
    drawn = Table("Stage", Column("Runs", justify="right"), Column("Seconds", justify="right"))
    for name, (runs, seconds) in times.items():
        drawn.add_row(name, str(runs), f"{seconds:.1f}")
    runs, seconds = (sum(values) for values in zip(*times.values(), strict=True))
    drawn.add_row("all", str(runs), f"{seconds:.1f}")
    return drawn


def _jobs_table(times: dict[str, tuple[int, float]]) -> Table:
    drawn = Table("Row", Column("Jobs", justify="right"), Column("Seconds, mean", justify="right"))
    for name, (jobs, seconds) in times.items():
        drawn.add_row(f"{name}: a job", str(jobs), f"{seconds:.1f}")
    return drawn
