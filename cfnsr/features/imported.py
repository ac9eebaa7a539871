"""Take the features of another corpus's clips: those whose emotion both corpora have."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float32
from pydantic import ConfigDict

from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.features import files
from cfnsr.features.files import CHECKSUM, Facts
from cfnsr.runtime import stored
from cfnsr.runtime.checksum import of_arrays
from cfnsr.runtime.outputs import atomic_folder

ARRAY, INDEX, ORIGIN = "means.npy", "clips.parquet", "origin.json"
_COLUMNS = ["clip", "actor", "label", "source_md5"]


@dataclass(frozen=True)
class ImportedFeatures:
    """The features of another corpus's clips.

    Attributes:
        corpus: its name.
        data: fingerprint of that corpus as prepared.
        facts: of the extractor.
        left_out: by emotion, how many of its clips are not here, since the corpus to be tested lacks the emotion.
        index: one row a clip, with the columns ``clip``, ``actor``, ``label`` (its common name) and ``source_md5``.
        means: see ``ClipFeatures``; row ``i`` belongs to row ``i`` of ``index``.
    """

    corpus: str
    data: str
    facts: Facts
    left_out: dict[str, int]
    index: pd.DataFrame
    means: Float32[np.ndarray, "clip layer width"]


@dataclass(frozen=True)
class _Origin:
    """What lies beside the features: fields of ``ImportedFeatures``."""

    corpus: str
    data: str
    left_out: dict[str, int]
    facts: Facts
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)


def common_names(labels: Collection[str], names: Mapping[str, str]) -> dict[str, str]:
    """Return the common name of each emotion; one that ``names`` lacks keeps its own."""
    return {label: names.get(label, label) for label in labels}


def collect(folder: Path, row: str, target: Manifest, names: Mapping[str, str]) -> ImportedFeatures:
    """Collect the features of a corpus that was prepared before.

    Args:
        folder: of the other corpus, ``data/<corpus>``.
        row: the section of ``features`` that made them.
        target: the corpus that is to be tested.
        names: the common name of an emotion, of any corpus.

    Raises:
        CfnsrError: the folder has no such features, or not of the clips of its manifest; or the two corpora share
            fewer than two emotions.
    """
    again = f"Run `cfnsr check --deep --mend`, `cfnsr preset {folder.name}` and `dvc repro features check` first"
    for path in (folder / "manifest.json", folder / "features" / row):
        if not path.exists():
            raise CfnsrError(path, "is missing", again)
    source = Manifest.read(folder / "manifest.json", again)
    of_source, of_target = (common_names(corpus.labels, names) for corpus in (source, target))
    shared = {*of_source.values()} & {*of_target.values()}
    if len(shared) < 2:
        problem = f"shares {len(shared)} emotions with {target.corpus}: {', '.join(shared) or 'none'}"
        raise CfnsrError(f"run.cross.corpora: {source.corpus}", problem, "Remove it, or complete cross.labels")
    index, means, facts = _of_speakers(folder, row, source, again)
    common = [of_source[label] for label in index["label"]]
    kept = np.array([label in shared for label in common])
    left_out = dict(Counter(label for label in common if label not in shared))
    used = index.assign(label=common).iloc[np.flatnonzero(kept)].reset_index(drop=True)
    return ImportedFeatures(source.corpus, source.fingerprint, facts, left_out, used, means[kept])


def _of_speakers(
    folder: Path, row: str, source: Manifest, again: str
) -> tuple[pd.DataFrame, Float32[np.ndarray, "clip layer width"], Facts]:
    """Read the features of all clips that the corpus's own rows use."""
    indices, means = [], []
    facts: Facts | None = None
    of_row = folder / "features" / row
    for actor, known in files.read_speakers(of_row, source.clips, again):
        facts, clips = known.facts, source.clips[actor]
        rows = [number for number, clip in enumerate(known.index["clip"]) if f"{actor}/{clip}" not in source.skipped]
        if len(rows) != clips:
            raise CfnsrError(
                of_row / actor, f"has features of {len(rows)} clips, and the manifest lists {clips}", again
            )
        indices.append(known.index[_COLUMNS].iloc[rows])
        means.append(known.means[rows])
    assert facts is not None
    return pd.concat(indices, ignore_index=True), np.concatenate(means), facts


def write(folder: Path, features: ImportedFeatures) -> None:
    """Write the features into a folder, which is replaced as a whole."""
    origin = _Origin(features.corpus, features.data, features.left_out, features.facts)
    index = features.index.copy()
    index.attrs[CHECKSUM] = of_arrays([features.means])
    with atomic_folder(folder) as partial:
        np.save(partial / ARRAY, features.means)
        index.to_parquet(partial / INDEX, index=False, write_page_checksum=True)
        text = json.dumps(asdict(origin), indent=2)
        (partial / ORIGIN).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> ImportedFeatures:
    """Read the features that ``write`` wrote.

    Raises:
        CfnsrError: a file is missing or damaged.
    """
    columns = dict.fromkeys(_COLUMNS, pa.string())
    index: Any = stored.read_frame(folder / INDEX, columns, "the index of features")
    means = files.read_features(folder / ARRAY)
    origin = stored.read_json(folder / ORIGIN, _Origin, "the origin of features")
    if origin.corpus != folder.name:
        raise CfnsrError(folder / ORIGIN, f"is of {origin.corpus}, not of {folder.name}", stored.AGAIN)
    if len(means) != len(index):
        raise CfnsrError(folder / ARRAY, f"holds {len(means)} clips, the index {len(index)}", stored.AGAIN)
    if of_arrays([means]) != index.attrs.get(CHECKSUM):
        raise CfnsrError(folder, "its array is damaged, or of another version", stored.AGAIN)
    return ImportedFeatures(origin.corpus, origin.data, origin.facts, origin.left_out, index[_COLUMNS], means)
