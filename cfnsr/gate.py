"""The gate before training: refuses shards that contradict themselves, and states who is tested when.

Every training cell reads speakers, labels and preprocessing from the file written here, not from
params.yaml: what it trains on has then been checked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cfnsr import shards
from cfnsr.atomic import atomic_file
from cfnsr.bad_clips import BadClips
from cfnsr.errors import CfnsrError
from cfnsr.folds import Speakers


@dataclass(frozen=True)
class Gate:
    """What has been checked.

    Attributes:
        corpus: its name.
        labels: the emotions in the order of their class index.
        protocol: how an epoch is chosen.
        folds: the three sets of speakers of each fold.
        clips: how many each speaker has.
        skipped: by ``actor/clip``, why it could not be used; it counts in no other figure.
        preprocessing: how the shards were made; goes into every saved model.
        shapes: of one clip's ``frames``, ``mel`` and ``mfcc``.
        fingerprint: md5 over preprocessing and the source files of all clips; names the data in every result.
    """

    corpus: str
    labels: list[str]
    protocol: str
    folds: dict[str, Speakers]
    clips: dict[str, int]
    skipped: dict[str, str]
    preprocessing: dict[str, Any]
    shapes: dict[str, list[int]]
    fingerprint: str

    def write(self, path: Path) -> None:
        with atomic_file(path) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Gate:
        """Read what ``write`` wrote; the sets of speakers are proved disjoint once more.

        Raises:
            CfnsrError: it is not such a file, or a speaker stands in two sets of a fold.
        """
        try:
            return cls._from(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CfnsrError(path, f"is not a gate's file ({error})", "Run `dvc repro check`") from error

    @classmethod
    def _from(cls, values: dict[str, Any]) -> Gate:
        folds = {
            name: Speakers(*(tuple(sets[role]) for role in ("test", "validation", "train")))
            for name, sets in values.pop("folds").items()
        }
        return cls(folds=folds, **values)

    def speakers(self, fold: str) -> Speakers:
        """The three sets of one fold."""
        if fold not in self.folds:
            raise CfnsrError("folds", f"no fold {fold!r}; there are {', '.join(self.folds)}", "Run `dvc repro check`")
        return self.folds[fold]


def inspect(
    folder: Path,
    *,
    corpus: str,
    labels: list[str],
    protocol: str,
    folds: dict[str, Speakers],
    actors: list[str],
    min_clips: int,
    bad: BadClips,
    preprocessing: dict[str, Any],
) -> Gate:
    """Check every speaker's shard against the others and against what it should be.

    Args:
        folder: holds one shard a speaker; speakers that ``actors`` does not name are not looked at.
        corpus, labels, protocol, folds: go into the gate's file.
        actors: every speaker of the run.
        min_clips: the fewest clips a speaker may have.
        bad: is told of the clips that were skipped when the shards were made.
        preprocessing: how the shards were made.

    Raises:
        CfnsrError: a shard is missing, short, mixed up, of another shape than the first, not finite, black,
            or holds a clip that another one holds too.
    """
    shapes: dict[str, list[int]] = {}
    owner: dict[str, str] = {}
    clips: dict[str, int] = {}
    digest = hashlib.md5(json.dumps(preprocessing, sort_keys=True).encode(), usedforsecurity=False)
    for actor in actors:
        shard = shards.read(folder / actor)
        _inspect_index(folder / actor, shard, actor, labels, min_clips)
        _inspect_arrays(folder / actor, shard, shapes)
        for clip, reason in shard.skipped.items():
            bad.meet(f"{actor}/{clip}", CfnsrError(f"{folder / actor}, clip {clip}", reason, "Fetch the clip again"))
        for clip, source in zip(shard.index["clip"], shard.index["source_md5"], strict=True):
            if source in owner:
                raise CfnsrError(
                    folder / actor, f"clip {clip} is the same file as {owner[source]}", "Remove one of them"
                )
            owner[source] = clip
            digest.update(f"{clip} {source}\n".encode())
        clips[actor] = len(shard.index)
    return Gate(
        corpus=corpus,
        labels=labels,
        protocol=protocol,
        folds=folds,
        clips=clips,
        skipped=bad.skipped,
        preprocessing=preprocessing,
        shapes=shapes,
        fingerprint=digest.hexdigest(),
    )


def _inspect_index(place: Path, shard: shards.Shard, actor: str, labels: list[str], min_clips: int) -> None:
    if len(shard.index) < min_clips:
        raise CfnsrError(
            place,
            f"holds {len(shard.index)} clips, under check.min_clips = {min_clips}",
            "Complete the speaker, or drop it from actors and folds",
        )
    strangers = sorted(set(shard.index["actor"]) - {actor})
    if strangers:
        raise CfnsrError(place, f"holds clips of speaker {', '.join(strangers)}", "Move them to their own folder")
    unknown = sorted(set(shard.index["label"]) - set(labels))
    if unknown:
        raise CfnsrError(place, f"unknown emotion {', '.join(unknown)}", f"Known are {', '.join(labels)}")


def _inspect_arrays(place: Path, shard: shards.Shard, shapes: dict[str, list[int]]) -> None:
    for name in shards.ARRAYS:
        array = getattr(shard, name)
        expected = shapes.setdefault(name, list(array.shape[1:]))
        if list(array.shape[1:]) != expected:
            raise CfnsrError(
                place / f"{name}.npy",
                f"clips of shape {list(array.shape[1:])}, other speakers' {expected}",
                "Run `dvc repro -f extract`",
            )
        for clip, values in zip(shard.index["clip"], array, strict=True):
            if not np.isfinite(values).all():
                raise CfnsrError(place / f"{name}.npy", f"clip {clip} holds NaN or infinity", "Fetch the clip again")
            if values.min() == values.max():
                raise CfnsrError(
                    place / f"{name}.npy",
                    f"clip {clip} is constant (a black picture, or silence)",
                    "Fetch the clip again, or remove it",
                )
