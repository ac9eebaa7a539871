"""``cfnsr predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cfnsr.cli.options import OUT_FILE
from cfnsr.cli.predictions import Predictions
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
    help="best, a path (.safetensors or .onnx), voice_emodb, or a DVC artifact: REPOSITORY:ARTIFACT[@REVISION].",
)
@click.option("--window", "window_s", type=float, help="Length of a window in seconds; default: as in training.")
@click.option(
    "--every", "every_s", type=float, help="Seconds from one window's start to the next; default: the window's length."
)
@click.option(
    "--face",
    type=click.Choice(["largest", "all", "left", "right"]),
    default="largest",
    show_default=True,
    help="Which face to use if there are several.",
)
@click.option("--only", type=click.Choice(["face", "voice"]), help="Use this modality only.")
@click.option("--csv", "csv", type=OUT_FILE, help="Write the table to this CSV file.")
@click.option("--parquet", type=OUT_FILE, help="Write the table to this Parquet file.")
@click.option("--json", "json_file", type=OUT_FILE, help="Write the table and the model's card to this JSON file.")
@click.option(
    "--page", type=OUT_FILE, help="Write an HTML page with pictures, charts and all numbers; it opens offline."
)
@click.option(
    "--annotate",
    type=OUT_FILE,
    help="Write a copy of one video with face boxes and bars drawn into it (.mp4, .mov or .mkv).",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="auto: GPU if any."
)
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
    """Predict the emotions of voice and face in the recordings PATH..., window after window.

    A PATH is a video, a sound file, or a folder of these.

    Not for decisions about people: the models were trained on acted emotions. The lines under the result say how
    accurate the model is, and on which corpus (docs/predict.md).

    \b
    Examples:
      cfnsr predict interview.mp4                       the best model of this workspace
      cfnsr predict clips/ --csv emotions.csv           all files of a folder
      cfnsr predict talk.mp4 --every 0.5 --face all     all people, twice a second
      cfnsr predict call.wav --model voice_emodb        a model that comes with cfnsr
      cfnsr predict talk.mp4 --page talk.html           film strip, probabilities over time, faces
      cfnsr predict talk.mp4 --annotate new.mp4         the video with boxes and bars
      cfnsr predict talk.mp4 --model ../emotions:best   the model that another repository shares
    """
    import cfnsr  # reads no params.yaml

    timeline = None if annotate is None else _annotated(paths, annotate)
    predictions = Predictions(cfnsr.load(name, device=device))
    options: dict[str, Any] = {"window_s": window_s, "every_s": every_s, "face": face, "only": only}
    predictions.add(paths, options, pictures=page is not None)
    for lines in (predictions.model.card.figures(), [f"{predictions.model.card.not_for}."]):
        for line in lines:
            click.echo(line)
    predictions.write({"csv": csv, "parquet": parquet, "json": json_file, "page": page})
    if annotate is not None and timeline is not None:
        predictions.annotate(timeline, paths[0], annotate)
    if predictions.failed:
        sys.exit(1)


def _annotated(paths: tuple[Path, ...], out: Path) -> Timeline:
    """Check, before anything is predicted, that one video is given and can be annotated; return its frame times."""
    from cfnsr.inference import annotate

    if len(paths) != 1:
        raise CfnsrError("--annotate", f"takes one video, and {len(paths)} paths are given", "Give one video file")
    return annotate.check(paths[0], out)
