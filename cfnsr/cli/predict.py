"""``cfnsr predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cfnsr.cli.options import OUT_FILE
from cfnsr.cli.predictions import Predictions
from cfnsr.cli.stage import echo
from cfnsr.errors import CfnsrError

if TYPE_CHECKING:
    from cfnsr.preprocessing.media import Timeline


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
@click.option("--only", type=click.Choice(["face", "voice"]), help="Read this alone, as if the other were missing.")
@click.option("--csv", "csv", type=OUT_FILE, help="Write the table to this file.")
@click.option("--parquet", type=OUT_FILE, help="Write the table to this file.")
@click.option("--json", "json_file", type=OUT_FILE, help="Write table and model's card to this file.")
@click.option("--page", type=OUT_FILE, help="Write a page with pictures, charts and all numbers; it opens offline.")
@click.option("--annotate", type=OUT_FILE, help="Write the one video PATH with boxes and bars drawn into it (.mp4).")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
def predict(
    paths: tuple[Path, ...],
    name: str,
    window_s: float | None,
    every_s: float | None,
    face: str,
    only: str | None,
    csv: Path | None,
    parquet: Path | None,
    json_file: Path | None,
    page: Path | None,
    annotate: Path | None,
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
      cfnsr predict talk.mp4 --page talk.html           film strip, probabilities over time, faces
      cfnsr predict talk.mp4 --annotate said.mp4        the video with boxes and bars
      cfnsr predict talk.mp4 --model ../emotions:best   the model that another repository shares
    """
    import cfnsr  # reads no params.yaml

    timeline = None if annotate is None else _annotated(paths, annotate)
    said = Predictions(cfnsr.load(name, device=device))
    options: dict[str, Any] = {"window_s": window_s, "every_s": every_s, "face": face, "only": only}
    said.add(paths, options, pictures=page is not None)
    for lines in (said.model.card.figures(), [f"{said.model.card.not_for}."]):
        for line in lines:
            echo(line)
    said.write({"csv": csv, "parquet": parquet, "json": json_file, "page": page})
    if annotate is not None and timeline is not None:
        said.annotate(timeline, paths[0], annotate)
    if said.failed:
        sys.exit(1)


def _annotated(paths: tuple[Path, ...], out: Path) -> Timeline:
    """Check that one video can be annotated, before minutes of work; return its times."""
    from cfnsr.inference import annotate

    if len(paths) != 1:
        raise CfnsrError("--annotate", f"takes one video, and {len(paths)} paths are given", "Give one file")
    return annotate.check(paths[0], out)
