"""Any folder of videos, with a labels file that states emotion and speaker of each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from cfnsr.corpora import clip
from cfnsr.corpora.clip import Clip
from cfnsr.corpora.filenames import LABELS_FILE
from cfnsr.errors import CfnsrError
from cfnsr.runtime.bad_clips import BadClips


def labels(*, labels: list[str], **_: object) -> list[str]:
    """List the emotions as params.yaml does, in the order of their class index."""
    return labels


def expected(actor: str, **_: object) -> Counter[str] | None:
    """Return nothing: only the labels file knows how many clips a speaker has."""
    return None


def clips(folder: Path, bad: BadClips) -> list[Clip]:
    """Describe the clips in one speaker's folder by the rows of the labels file."""
    import pyarrow.parquet as pq  # only this corpus needs it

    rows = {row["file"]: row for row in pq.read_table(folder / LABELS_FILE).to_pylist()}

    def describe(path: Path) -> Clip:
        row = rows.get(path.name)
        if row is None:
            problem = "is a video that the labels file does not name"
            raise CfnsrError(path, problem, "Remove it, or run `dvc repro download`")
        return Clip(path.stem, path, row["speaker"], row["label"])

    return clip.describe(folder, bad, describe)
