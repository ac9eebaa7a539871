"""The ``cfnsr`` command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table

from cfnsr import __version__, config
from cfnsr.cli import stage
from cfnsr.cli.check import check
from cfnsr.cli.launch import launch
from cfnsr.cli.models import export_checkpoint, import_checkpoint, models
from cfnsr.cli.offline_plots import offline_plots
from cfnsr.cli.profile import profile
from cfnsr.cli.report import report
from cfnsr.config import preset
from cfnsr.errors import CfnsrError
from cfnsr.report import table
from cfnsr.report.rows import ResultRow


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Speech-and-face emotion recognition as a reproducible DVC pipeline.

    \b
    Examples:
      cfnsr check              refuse a faulty params.yaml before any work
      cfnsr preset tiny        the smallest run, a minute or two
      dvc repro                run the pipeline
      cfnsr results            the table of the last run, and where the time went
      cfnsr models             the systems, their sizes, and what was published of them
      cfnsr profile cfnsr      where a training step's time goes
      cfnsr report --with-run-info run.html   the page, with times and device
    """


for command in (check, models, import_checkpoint, export_checkpoint, profile, report, offline_plots, launch):
    main.add_command(command)


@main.command("preset")
@click.argument("name", required=False)
@stage.params_option
@click.option("--presets", type=stage.OF_ROOT, default=stage.PRESETS, show_default=True, help="Where the overlays are.")
@click.option("--accept-licence", is_flag=True, help="Accept the licence of the preset's corpus, which is printed.")
def preset_command(name: str | None, params: Path, presets: Path, accept_licence: bool) -> None:
    """Merge the preset NAME into params.yaml and print what changed; without NAME, list the presets.

    \b
    Examples:
      cfnsr preset             what there is
      cfnsr preset tiny        the smallest run, a minute or two
      cfnsr preset studio      back to what ships
      cfnsr preset ravdess --accept-licence
    """
    with stage.one_line_errors():
        if name is None:
            if accept_licence:
                raise click.UsageError("--accept-licence needs the NAME of a preset")
            listed = preset.names(presets)
            width = max(map(len, listed), default=0)
            click.echo("\n".join(f"{one:{width}}  {preset.meaning(presets / f'{one}.yaml')}" for one in listed))
            return
        overlay = presets / f"{name}.yaml"
        licensed = preset.corpus_of(overlay) if accept_licence else None
        if licensed is not None:
            click.echo(_licence(licensed))
        changes = preset.apply(params, overlay, config.load)
        if licensed is not None:
            changes += preset.merge(params, {"corpora": {licensed: {"licence_accepted": True}}}, config.load)
    click.echo("\n".join(changes) if changes else "nothing to change")


def _licence(corpus: str) -> str:
    from cfnsr import corpora  # imports what the corpus needs

    licence = getattr(corpora.get(corpus), "LICENCE", None)
    if licence is None:
        raise CfnsrError("--accept-licence", f"{corpus} asks for none", "Leave it out")
    return licence


@main.command()
@click.argument("videos", type=stage.IN_FOLDER)
@click.argument("sheet", type=stage.IN_FILE)
@click.option("--folds", default=5, show_default=True, type=click.IntRange(3), help="How many, of whole speakers.")
@stage.params_option
def folder(videos: Path, sheet: Path, folds: int, params: Path) -> None:
    """Take the corpus from the folder VIDEOS and the SHEET (CSV or Parquet: file, label, speaker).

    Writes into params.yaml the emotions, the speakers, and folds to which they are dealt in turn.

    Example: cfnsr folder ~/crema-d/VideoFlash crema-d.csv --folds 6
    """
    from cfnsr.corpora import folder as corpus  # imports pandas

    with stage.one_line_errors():
        table = corpus.read(sheet)
        absent = [row.file for row in table if not (videos / row.file).is_file()]
        if absent:
            problem = f"names {len(absent)} videos that are not in {videos}: {absent[0]} first"
            raise CfnsrError(sheet, problem, "Give the folder that its paths start from")
        speakers = sorted({row.speaker for row in table})
        if len(speakers) < 3:
            raise CfnsrError(
                sheet, f"names {len(speakers)} speakers", "Three are needed: to train, to validate and to test"
            )
        if len(speakers) < folds:
            raise CfnsrError(sheet, f"names {len(speakers)} speakers", f"Ask for at most {len(speakers)} --folds")
        changes = preset.merge(
            params,
            {
                "corpus": "folder",
                "report": {"faces": False},  # of people who may not have been asked
                "actors": speakers,
                "folds": {f"fold_{number + 1}": speakers[number::folds] for number in range(folds)},
                "corpora": {
                    "folder": {
                        "videos": str(videos.resolve()),
                        "sheet": str(sheet.resolve()),
                        "sheet_md5": corpus.md5_of(sheet),
                        "labels": sorted({row.label for row in table}),
                    }
                },
            },
            config.load,
        )
    click.echo("\n".join(changes) if changes else "nothing to change")


@main.command()
@stage.params_option
@click.option("--metrics", type=stage.OF_ROOT, default=Path("metrics"), show_default=True, help="Where results are.")
def results(params: Path, metrics: Path) -> None:
    """Print the last run's table, and where its time went.

    Example: cfnsr results
    """
    from cfnsr.report import files  # imports scikit-learn, as above

    console = stage.console()
    with stage.one_line_errors():
        values = config.load(params)
        rows = files.read(metrics / values.corpus)
        differences = files.read_differences(metrics / values.corpus)
    spent = stage.times(values.corpus)
    if not spent:
        console.print("No stage has run here: these results came with the repository.")
    drawn = _table(rows, values.corpus, table.COLUMNS)
    if console.measure(drawn, options=console.options.update(width=1000)).maximum > console.width:
        drawn = _table(rows, values.corpus, [column for column in table.COLUMNS if column.brief])
        console.print(f"The terminal is too narrow for all columns; they are in {metrics / values.corpus}/results.csv.")
    console.print(drawn)
    for note in table.footnotes(rows, differences, values.corpus):
        console.print(note, style="dim", highlight=False, markup=False)
    if spent:
        console.print("Where the time went: within the stages, the last run of each. DVC's own work comes on top.")
        console.print(_clock(spent))


def _table(rows: list[ResultRow], corpus: str, columns: Sequence[table.Column]) -> Table:
    drawn = Table(title=table.title(rows, corpus))
    for column in columns:
        justify = "left" if column is table.COLUMNS[0] else "right"
        drawn.add_column(column.name, justify=justify, style="dim" if column.aside else None, no_wrap=True)
    for line in rows:
        drawn.add_row(*(column.text(line) for column in columns))
    return drawn


def _clock(spent: dict[str, tuple[int, float]]) -> Table:
    clock = Table()
    for column in ("Stage", "Runs", "Seconds"):
        clock.add_column(column, justify="left" if column == "Stage" else "right")
    for name, (runs, seconds) in spent.items():
        clock.add_row(name, str(runs), f"{seconds:.1f}")
    runs, seconds = (sum(values) for values in zip(*spent.values(), strict=True))
    clock.add_row("all", str(runs), f"{seconds:.1f}")
    return clock


@main.command()
@click.argument("actor")
@click.argument("out", type=stage.OUT_FILE)
@stage.params_option
@click.option("--data", type=stage.OF_ROOT, default=Path("data"), show_default=True, help="Where the shards are.")
def sheet(actor: str, out: Path, params: Path, data: Path) -> None:
    """Draw all face crops of ACTOR into the picture OUT: a clip a row, a frame a column.

    Example: cfnsr sheet 01 sheet.png
    """
    from cfnsr.data import shards
    from cfnsr.preprocessing import contact_sheet  # imports OpenCV, as above

    with stage.one_line_errors():
        contact_sheet.write(out, shards.read(data / config.load(params).corpus / "shards" / actor))
    click.echo(f"{out}")
