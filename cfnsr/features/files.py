"""Read and write the features of a frozen encoder, a folder a speaker."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.runtime.outputs import atomic_folder

ARRAY, INDEX, FACTS = "means.npy", "clips.parquet", "extractor.json"
_AGAIN = "Run `dvc repro -f features`"


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


@dataclass(frozen=True)
class SpeakerFeatures:
    """The features of one speaker's clips.

    Attributes:
        facts: of the extractor.
        index: one row a clip with the columns ``clip``, ``actor``, ``label``, ``source_md5`` and ``seconds``.
        skipped: by clip, why it has no features; these clips are in no row.
        means: see ``ClipFeatures``; row ``i`` belongs to row ``i`` of ``index``.
    """

    facts: Facts
    index: pd.DataFrame
    skipped: dict[str, str]
    means: Float32[np.ndarray, "clip layer width"]


def write(
    folder: Path, facts: Facts, clips: Sequence[Clip], features: Mapping[str, ClipFeatures], skipped: Mapping[str, str]
) -> None:
    """Write the features of one speaker.

    Args:
        folder: to write; replaced as a whole.
        facts: of the extractor.
        clips: of the speaker.
        features: by clip id.
        skipped: by clip id, why a clip has none.

    Raises:
        CfnsrError: no clip has features.
    """
    used = [clip for clip in clips if clip.id in features]
    if not used:
        reason = " ".join(next(iter(skipped.items()), ("", "there is none")))
        problem = f"none of its clips has features; {reason}"
        raise CfnsrError(folder, problem, "Fetch this speaker's clips again, or remove it from actors")
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
    with atomic_folder(folder) as partial:
        np.save(partial / ARRAY, np.stack([features[clip.id].means for clip in used]))
        pd.DataFrame(rows).to_parquet(partial / INDEX, index=False)
        (partial / FACTS).write_text(json.dumps(asdict(facts), indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> SpeakerFeatures:
    """Read the features of one speaker.

    Raises:
        CfnsrError: a file is missing or damaged, or contains NaN or infinity.
    """
    try:
        rows = pd.read_parquet(folder / INDEX)
        means = np.load(folder / ARRAY)
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        trained_on = facts.pop("trained_on")
        known = Facts(**facts, trained_on=None if trained_on is None else tuple(trained_on))
        used = rows["skipped"].isna()
        skipped = dict(rows.loc[~used, ["clip", "skipped"]].itertuples(index=False, name=None))
        index = pd.DataFrame(rows[used]).drop(columns="skipped").reset_index(drop=True)
    except FileNotFoundError as error:
        raise CfnsrError(error.filename or folder, "is missing", "Run `dvc repro features`") from error
    except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise CfnsrError(folder, f"is no folder of features ({error})", _AGAIN) from error
    if means.ndim != 3 or len(means) != len(index):
        raise CfnsrError(folder, f"has features of shape {means.shape} for {len(index)} clips", _AGAIN)
    if not np.isfinite(means).all():
        raise CfnsrError(folder, "contains NaN or infinity", _AGAIN)
    return SpeakerFeatures(known, index, skipped, means)
