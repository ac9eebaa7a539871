"""Any folder of videos, with a labels file that lists emotion and speaker of each."""

from __future__ import annotations

from collections import Counter
from math import inf
from pathlib import Path

from cfnsr.corpora.clip import Clip
from cfnsr.corpora.filenames import LABELS_FILE
from cfnsr.errors import CfnsrError
from cfnsr.runtime import stored
from cfnsr.runtime.bad_clips import BadClips


def labels(*, labels: list[str], **_: object) -> list[str]:
    """Return the emotions of params.yaml, in the order of their class index."""
    return labels


def expected(actor: str, **_: object) -> Counter[str] | None:
    """Return None: only the labels file knows the number of clips."""
    return None


def clips(folder: Path, bad: BadClips) -> list[Clip]:
    """Describe the clips in one speaker's folder from their rows of the labels file."""
    import pyarrow as pa  # here: the other corpora do not need it

    texts = ("clip", "label", "speaker", "face", "file", "audio", "problem")
    schema = pa.schema({**dict.fromkeys(texts, pa.string()), "start_s": pa.float64(), "end_s": pa.float64()})
    found = []
    for row in stored.read_table(folder / LABELS_FILE, schema, "the labels of a speaker's clips").to_pylist():
        with bad.guard(row["clip"]):
            if row["problem"]:
                remedy = "Correct the file or its row, and run `cfnsr folder VIDEOS LABELS` again"
                raise CfnsrError(row["clip"], row["problem"], remedy)
            clip = Clip(
                id=row["clip"],
                path=folder / row["file"],
                actor=row["speaker"],
                label=row["label"],
                start_s=row["start_s"],
                end_s=inf if row["end_s"] is None else row["end_s"],
                audio=folder / row["audio"] if row["audio"] else None,
                face=row["face"],
            )
            found.append(clip)
    return found
