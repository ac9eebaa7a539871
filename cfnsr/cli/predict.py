"""``cfnsr predict``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cfnsr.cli.options import OUT_FILE
from cfnsr.cli.predictions import Predictions
from cfnsr.cli.stage import echo
from cfnsr.corpora.filenames import MEDIA_SUFFIXES
from cfnsr.errors import CfnsrError, printable
from cfnsr.runtime.outputs import writing

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

    outputs = {"csv": csv, "parquet": parquet, "json": json_file, "page": page}
    _check_outputs(paths, {**outputs, "annotate": annotate})
    timeline = None if annotate is None else _annotated(paths, annotate)
    predictions = Predictions(cfnsr.load(name, device=device))
    options: dict[str, Any] = {"window_s": window_s, "every_s": every_s, "face": face, "only": only}
    predictions.add(paths, options, pictures=page is not None)
    for line in (*predictions.model.card.figures(), f"{predictions.model.card.not_for}."):
        echo(printable(line))
    predictions.write(outputs)
    if annotate is not None and timeline is not None:
        predictions.annotate(timeline, paths[0], annotate)
    if predictions.failed:
        sys.exit(1)


def _check_outputs(paths: Sequence[Path], outputs: Mapping[str, Path | None]) -> None:
    """Check before minutes of work that each file can be written, and takes the place of no recording or other file."""
    options: dict[Path, str] = {}
    for name, out in outputs.items():
        if out is None:
            continue
        if (other := options.setdefault(out.resolve(), name)) != name:
            raise CfnsrError(f"--{name}", f"writes {out}, as --{other} does", "Give another path")
        with writing(out):
            existing = next(folder for folder in out.absolute().parents if folder.exists())
            if out.exists() and not out.is_file():
                raise CfnsrError(out, "is a device or the like, which would be replaced", "Give another path")
            if any(_reads(path, out) for path in paths):
                raise CfnsrError(out, "is the recording itself", "Give another path")
            if not os.access(existing, os.W_OK):
                raise CfnsrError(out, "cannot be written (Permission denied)", "Give another path")


def _reads(path: Path, out: Path) -> bool:
    """Return whether a file to write is the recording of a path, or one of its folder."""
    if not out.exists() or not os.path.exists(path):  # noqa: PTH110 - Path.exists raises if it is too long
        return False
    in_folder = out.resolve().suffix.lower() in MEDIA_SUFFIXES and path.resolve() in out.resolve().parents
    return in_folder or out.samefile(path)


def _annotated(paths: tuple[Path, ...], out: Path) -> Timeline:
    """Check, before anything is predicted, that one video is given and can be annotated; return its frame times."""
    from cfnsr.inference import annotate

    if len(paths) != 1:
        raise CfnsrError("--annotate", f"takes one video, and {len(paths)} paths are given", "Give one video file")
    return annotate.check(paths[0], out)
