"""Read and write the features of a frozen encoder, a folder a speaker."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float32
from pydantic import ConfigDict

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.runtime import stored
from cfnsr.runtime.checksum import of_arrays
from cfnsr.runtime.outputs import atomic_folder

ARRAY, SEQUENCES, INDEX, FACTS = "means.npy", "sequences.npy", "clips.parquet", "extractor.json"
CHECKSUM = "checksum"  # of the arrays: key in the index's attributes, which Parquet keeps


@dataclass(frozen=True)
class Facts:
    """What an extractor is, and where its weights come from.

    Attributes:
        name: of its file.
        modality: what it reads, ``audio`` or ``video``.
        revision: of the weights, or of the method where there are none.
        trained_on: the corpora that the weights have seen with labels or without, by the names that ``corpus`` in
            params.yaml knows; None if nobody has said it.
        sha256: of the weights; empty without weights.
        licence: of the weights; empty without weights.
        parameters: number of weights.
        rate_hz: sampling rate of the sound that it hears; 0 if it hears none.
    """

    name: str
    modality: str
    revision: str
    trained_on: tuple[str, ...] | None
    sha256: str = ""
    licence: str = ""
    parameters: int = 0
    rate_hz: int = 0
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class ClipFeatures:
    """The features of one clip.

    Attributes:
        means: for each layer of the encoder, the mean of its output over the clip's real frames.
        seconds: how much of the clip was used.
        layers: each layer's output over the clip's real frames, ``Float32[np.ndarray, "frame width"]``; empty if the
            encoder gives none.
    """

    means: Float32[np.ndarray, "layer width"]
    seconds: float
    layers: Sequence[np.ndarray] = ()

    def with_sequence(self, layer: int, steps: int, where: str) -> ClipFeatures:
        """Return the features with one layer alone, cut into equal parts, each of which becomes its mean.

        Args:
            layer: its number, from 0; -1 is the last.
            steps: number of parts; 0 for no sequence.
            where: the section's path in params.yaml, for errors.

        Raises:
            CfnsrError: the encoder has no such layer.
        """
        if not steps:
            return replace(self, layers=())
        if not -len(self.layers) <= layer < len(self.layers):
            problem = f"{layer}, and the encoder gives {len(self.layers)} layers over time"
            raise CfnsrError(f"{where}.layer", problem, "Choose another layer, or set steps to 0")
        frames = self.layers[layer]
        ends = np.linspace(0, len(frames), steps + 1)
        parts = [frames[int(start) : max(int(start) + 1, int(end))] for start, end in pairwise(ends)]
        return replace(self, layers=(np.stack([part.mean(axis=0) for part in parts]).astype(np.float32),))


@dataclass(frozen=True)
class SpeakerFeatures:
    """The features of one speaker's clips.

    Attributes:
        facts: of the extractor.
        index: one row a clip with the columns ``clip``, ``actor``, ``label``, ``source_md5`` and ``seconds``.
        skipped: by clip, why it has no features; these clips are in no row.
        means: see ``ClipFeatures``; row ``i`` belongs to row ``i`` of ``index``.
        sequences: of one layer over time, see ``ClipFeatures.with_sequence``; None if none are stored.
    """

    facts: Facts
    index: pd.DataFrame
    skipped: dict[str, str]
    means: Float32[np.ndarray, "clip layer width"]
    sequences: Float32[np.ndarray, "clip step channel"] | None = None


def write(
    folder: Path, facts: Facts, clips: Sequence[Clip], features: Mapping[str, ClipFeatures], skipped: Mapping[str, str]
) -> None:
    """Write the features of one speaker.

    Args:
        folder: to write; replaced as a whole.
        facts: of the extractor.
        clips: of the speaker.
        features: by clip id; all have one layer over time, or none has.
        skipped: by clip id, why a clip has none.

    Raises:
        CfnsrError: no clip has features.
    """
    used = [clip for clip in clips if clip.id in features]
    if not used:
        reason = " ".join(next(iter(skipped.items()), ("", "there is none")))
        problem = f"none of its clips has features; {reason}"
        clips_folder = folder.parents[1] / folder.name  # data/<corpus>/features/<row>/<speaker>
        remedy = f"Fetch its clips again: {stored.fetching(clips_folder)}, or remove the speaker from actors"
        raise CfnsrError(folder, problem, remedy)
    rows = [
        {
            "clip": clip.id,
            "actor": clip.actor,
            "label": clip.label,
            "source_md5": clip.source_md5(),
            "seconds": features[clip.id].seconds,
            "skipped": None,
        }
        for clip in used
    ]
    rows += [{"clip": clip, "skipped": reason} for clip, reason in sorted(skipped.items())]
    arrays = {ARRAY: np.stack([features[clip.id].means for clip in used])}
    if features[used[0].id].layers:
        arrays[SEQUENCES] = np.stack([features[clip.id].layers[0] for clip in used])
    index = pd.DataFrame(rows)
    index.attrs[CHECKSUM] = of_arrays(arrays.values())
    with atomic_folder(folder) as partial:
        for name, array in arrays.items():
            np.save(partial / name, array)
        index.to_parquet(partial / INDEX, index=False, write_page_checksum=True)
        (partial / FACTS).write_text(json.dumps(asdict(facts), indent=2) + "\n", encoding="utf-8")


def read(folder: Path, remedy: str = stored.AGAIN) -> SpeakerFeatures:
    """Read the features of one speaker.

    Args:
        folder: of the speaker.
        remedy: for the error.

    Raises:
        CfnsrError: a file is missing or damaged, or contains NaN or infinity.
    """
    columns = {"clip": pa.string(), "actor": pa.string(), "label": pa.string(), "source_md5": pa.string()}
    rows = stored.read_frame(folder / INDEX, columns, "the index of features", remedy, unused="skipped")
    means = read_features(folder / ARRAY, remedy)
    sequences = read_features(folder / SEQUENCES, remedy, mapped=True) if (folder / SEQUENCES).exists() else None
    facts = stored.read_json(folder / FACTS, Facts, "the facts of a frozen encoder", remedy)
    used = rows["skipped"].isna()
    skipped = dict(rows.loc[~used, ["clip", "skipped"]].itertuples(index=False, name=None))
    index: Any = rows[used].drop(columns="skipped").reset_index(drop=True)
    if index["clip"].duplicated().any():
        raise CfnsrError(folder / INDEX, "lists a clip twice", remedy)
    for name, array in ((ARRAY, means), (SEQUENCES, sequences)):
        if array is not None and len(array) != len(index):
            raise CfnsrError(folder / name, f"holds {len(array)} clips, the index {len(index)}", remedy)
    if of_arrays([means] if sequences is None else [means, sequences]) != rows.attrs.get(CHECKSUM):
        raise CfnsrError(folder, "its arrays are damaged, or of another version", remedy)
    return SpeakerFeatures(facts, index, skipped, means, sequences)


def read_features(path: Path, remedy: str = stored.AGAIN, *, mapped: bool = False) -> np.ndarray:
    """Read an array of features, three dimensions of finite numbers; see ``stored.read_array``."""
    array = stored.read_array(path, np.float32, 3, "an array of features", remedy, mapped=mapped)
    if not array.size or not np.isfinite(array).all():
        raise CfnsrError(path, "is empty, or contains NaN or infinity", remedy)
    return array


def read_speakers(
    folder: Path, speakers: Iterable[str], remedy: str = stored.AGAIN
) -> Iterator[tuple[str, SpeakerFeatures]]:
    """Read the features of some speakers, which must be of one extractor.

    Args:
        folder: holds one folder a speaker.
        speakers: their names.
        remedy: for the error.

    Raises:
        CfnsrError: see ``read``; or a speaker's features are of another extractor than the first one's.
    """
    first: SpeakerFeatures | None = None
    for speaker in speakers:
        features = read(folder / speaker, remedy)
        first = first or features
        if features.means.shape[1:] != first.means.shape[1:]:
            problem = f"has {features.means.shape[1:]} layers and values, the first speaker {first.means.shape[1:]}"
            raise CfnsrError(folder / speaker / ARRAY, problem, remedy)
        if features.facts != first.facts:
            problem = "was made by another extractor, or with other weights, than the first speaker's features"
            raise CfnsrError(folder / speaker, problem, remedy)
        yield speaker, features
