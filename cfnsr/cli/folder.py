"""``cfnsr folder``."""

from __future__ import annotations

from pathlib import Path

import click

from cfnsr.cli.options import IN_FILE, IN_FOLDER, params_option
from cfnsr.config import preset
from cfnsr.corpora.folder.prepare import labels_file
from cfnsr.errors import CfnsrError
from cfnsr.runtime.checksum import md5


@click.command()
@click.argument("videos", type=IN_FOLDER)
@click.argument("labels", type=IN_FILE)
@click.option(
    "--folds", default=5, show_default=True, type=click.IntRange(3), help="Number of folds, of whole speakers."
)
@params_option
def folder(videos: Path, labels: Path, folds: int, params: Path) -> None:
    """Use the videos of the folder VIDEOS, labelled by LABELS, as the corpus.

    LABELS is a CSV or Parquet file with the columns file, label and speaker. The command writes the emotions, the
    speakers and the folds into params.yaml; speakers go to the folds in turn.

    \b
    Examples:
      cfnsr folder ~/crema-d/VideoFlash crema-d.csv
      cfnsr folder ~/crema-d/VideoFlash crema-d.csv --folds 6
    """
    rows = labels_file.read(labels)
    missing = [row.file for row in rows if not (videos / row.file).is_file()]
    if missing:
        problem = f"names {len(missing)} videos that are not in {videos}, for instance {missing[0]}"
        raise CfnsrError(labels, problem, "Give the folder that its paths start from")
    speakers = sorted({row.speaker for row in rows})
    if len(speakers) < folds:
        remedy = (
            f"Use --folds {len(speakers)}"
            if len(speakers) > 2
            else "Three are needed: to train, to validate and to test"
        )
        raise CfnsrError(labels, f"names {len(speakers)} speakers, too few for {folds} folds", remedy)
    values = {
        "corpus": "folder",
        "report": {"faces": False},  # the people in the videos may not agree to be shown
        "actors": speakers,
        "folds": {f"fold_{number + 1}": speakers[number::folds] for number in range(folds)},
        "corpora": {
            "folder": {
                "videos": str(videos.resolve()),
                "sheet": str(labels.resolve()),
                "sheet_md5": md5(labels),
                "labels": sorted({row.label for row in rows}),
            }
        },
    }
    changes = preset.update(params, values)
    click.echo("\n".join(changes) if changes else "nothing to change")
