"""``cfnsr predict``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cfnsr.cli.options import OUT_FILE
from cfnsr.errors import CfnsrError, printable
from cfnsr.runtime import progress
from cfnsr.runtime.outputs import atomic_file, writing

if TYPE_CHECKING:
    import pandas as pd

    from cfnsr.inference.model import Model
    from cfnsr.inference.table import Row


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--model",
    "name",
    default="best",
    show_default=True,
    help="best, a model's path (.onnx too), voice_emodb, or REPOSITORY:ARTIFACT[@REVISION] of DVC.",
)
@click.option("--window", "window_s", type=float, help="Length of a window in seconds; as the model was trained.")
@click.option("--every", "every_s", type=float, help="From one window's start to the next, in seconds; a window.")
@click.option(
    "--face",
    type=click.Choice(["largest", "all", "left", "right"]),
    default="largest",
    show_default=True,
    help="Whose face, where there are several.",
)
@click.option("--csv", "csv", type=OUT_FILE, help="Write the table to this file.")
@click.option("--parquet", type=OUT_FILE, help="Write the table to this file.")
@click.option("--json", "json_file", type=OUT_FILE, help="Write table and model's card to this file.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
def predict(
    paths: tuple[Path, ...],
    name: str,
    window_s: float | None,
    every_s: float | None,
    face: str,
    csv: Path | None,
    parquet: Path | None,
    json_file: Path | None,
    device: str,
) -> None:
    """Say which emotions voice and face show in the recordings PATH..., window after window.

    Videos, files of sound, and folders of these.

    Not for decisions about people: a model tells acted emotions apart, as the figures under the result say
    (docs/predict.md).

    \b
    Examples:
      cfnsr predict interview.mp4                       the best model of this workspace
      cfnsr predict clips/ --csv emotions.csv           all files of a folder
      cfnsr predict talk.mp4 --every 0.5 --face all     everybody, twice a second
      cfnsr predict call.wav --model voice_emodb        the voice alone
      cfnsr predict talk.mp4 --model ../emotions:best   the model that another repository shares
    """
    import cfnsr  # reads no params.yaml

    model = cfnsr.load(name, device=device)
    options: dict[str, Any] = {"window_s": window_s, "every_s": every_s, "face": face}
    table, failed = _of_paths(model, paths, options)
    for lines in (model.card.figures(), [f"{model.card.not_for}."]):
        for line in lines:
            click.echo(line)
    outputs = {csv: lambda path: table.to_csv(path, index=False), parquet: table.to_parquet}
    outputs[json_file] = lambda path: _write_json(path, table, model, failed)
    for path, write in outputs.items():
        if path is not None:
            with writing(path), atomic_file(path) as partial:
                write(partial)
    if failed:
        sys.exit(1)


def _of_paths(model: Model, paths: tuple[Path, ...], options: dict[str, Any]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Predict all files, and print what is said of each; return the table, and what is wrong with files, by name."""
    from cfnsr.inference import recordings

    rows: list[Row] = []
    landmarks: dict[str, str] = {}
    failed: dict[str, str] = {}
    # The bar takes over the terminal's standard output, so that lines stand above it; but not a file's or a pipe's.
    out = None if sys.stdout.isatty() else sys.stdout
    with progress.items() as bar:
        for path in paths:
            try:
                files = recordings.files(path)
            except CfnsrError as error:
                failed[str(path)] = _report(error)
                continue
            for file in files:
                task = bar.add_task(printable(file.name), total=None)
                of_file: list[Row] = []
                try:
                    run = model.run(file, **options)
                    bar.update(task, total=len(run.windows))
                    landmarks[run.name] = run.landmarks
                    faces = f"  (faces: {run.landmarks})" if run.landmarks else ""
                    click.echo(f"{printable(run.name)}{faces}", file=out)
                    for row in run:
                        of_file.append(row)
                        click.echo(_line(row, model.labels), file=out)
                        bar.update(task, completed=len({each.start_s for each in of_file}))
                    click.echo(f"  {_summary(of_file, model.labels)}", file=out)
                except CfnsrError as error:
                    failed[str(file)] = _report(error)
                finally:
                    bar.remove_task(task)
                rows += of_file
    return model.table(rows, landmarks), failed


def _report(error: CfnsrError) -> str:
    click.echo(f"Error: {error}", err=True)
    return error.problem


def _line(row: Row, labels: list[str]) -> str:
    """Return what is said of one window."""
    values = row.values(labels)
    person = f"person {row.person}  " if row.person else ""
    said = [f"  {row.start_s:7.1f}–{row.end_s:.1f} s  {person}"]
    if values["emotion"] is None:
        said.append("no opinion")
    else:
        said.append(f"{values['emotion']} {values['confidence']:.0%}")
    for name in ("face", "voice"):
        shares = {label: values[f"{name}_{label}"] for label in labels}
        best = max(labels, key=lambda label: shares[label])
        if shares[best] == shares[best] and shares[best] != values["confidence"]:  # not NaN, and not the same again
            said.append(f"{name} {best} {shares[best]:.0%}")
    said += [f"no {name}" for name in row.missing]
    if row.is_far:
        said.append(f"far from the training clips ({row.distance:.0f}th percentile)")
    return said[0] + ", ".join(said[1:])


def _summary(rows: list[Row], labels: list[str]) -> str:
    emotions = Counter(row.values(labels)["emotion"] or "no opinion" for row in rows)
    far = sum(row.is_far for row in rows)
    said = ", ".join(f"{emotion} {count}" for emotion, count in emotions.most_common())
    count = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
    return f"{count}: {said}" + (f"; {far} far from the training clips" if far else "")


def _write_json(path: Path, table: pd.DataFrame, model: Model, failed: dict[str, str]) -> None:
    rows = json.loads(table.to_json(orient="records") or "[]")
    content = {"model": asdict(model.card), "landmarks": table.attrs["landmarks"], "failed": failed, "rows": rows}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
