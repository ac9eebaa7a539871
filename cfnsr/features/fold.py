"""The features of one fold's clips, and what their encoder's weights have seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int64

from cfnsr.data.dataset import Clips, FoldDatasets
from cfnsr.errors import CfnsrError
from cfnsr.features import files
from cfnsr.features.files import Facts
from cfnsr.runtime import stored

if TYPE_CHECKING:
    from torch import nn

    from cfnsr.models.spec import ModelSpec

ENCODERS = "features"  # in the description of a network on sequences: which encoders make them, by modality


@dataclass(frozen=True)
class FrozenFeatures:
    """The features of a set of clips.

    Attributes:
        facts: of their extractor.
        means: see ``ClipFeatures``; in the clips' order.
        classes: the class index of each clip.
        sequences: see ``SpeakerFeatures``; None unless they are asked for.
    """

    facts: Facts
    means: Float32[np.ndarray, "clip layer width"]
    classes: Int64[np.ndarray, " clip"]
    sequences: Float32[np.ndarray, "clip step channel"] | None = None

    @classmethod
    def open(cls, folder: Path, clips: Clips, *, sequences: bool = False) -> FrozenFeatures:
        """Read the features of some speakers' clips.

        Args:
            folder: holds one folder a speaker.
            clips: in the order of which the features are given.
            sequences: whether to read the sequences too.

        Raises:
            CfnsrError: a clip has no features; or they are of another file, or of other weights than the first's.
        """
        of_actors = dict(iter(clips.index.groupby("actor", sort=False)))
        means, over_time = [], []
        facts: Facts | None = None
        for actor, known in files.read_speakers(folder, map(str, of_actors)):
            of_actor, facts = of_actors[actor], known.facts
            rows = known.index.reset_index().set_index("clip")
            for clip, source in zip(of_actor["clip"], of_actor["source_md5"], strict=True):
                if clip not in rows.index:
                    reason = known.skipped.get(clip, "is not in its index")
                    problem = f"clip {clip} has no features: {reason}"
                    raise CfnsrError(folder / actor, problem, "Remove the clip, or the row from run.probe")
                if rows.at[clip, "source_md5"] != source:
                    problem = f"clip {clip} has the features of another file"
                    raise CfnsrError(folder / actor, problem, stored.AGAIN)
            numbers = rows.loc[of_actor["clip"], "index"].to_numpy()
            means.append(known.means[numbers])
            if sequences and known.sequences is None:
                problem = "has no sequences"
                remedy = f"Set features.{folder.name}.sequence.steps, and run `dvc repro`"
                raise CfnsrError(folder / actor, problem, remedy)
            if sequences and known.sequences is not None:
                over_time.append(known.sequences[numbers])
        if len({array.shape[1:] for array in over_time}) > 1:
            raise CfnsrError(folder, "its sequences differ in length or width", stored.AGAIN)
        assert facts is not None
        joined = np.concatenate(over_time) if sequences else None
        return cls(facts, np.concatenate(means), clips.classes, joined)

    @property
    def shape(self) -> list[int]:
        """Return steps and width of one clip's sequence."""
        assert self.sequences is not None
        return list(self.sequences.shape[1:])

    def joined(self, other: FrozenFeatures) -> FrozenFeatures:
        """Return these clips followed by others."""
        means = np.concatenate([self.means, other.means])
        return FrozenFeatures(self.facts, means, np.concatenate([self.classes, other.classes]))


@dataclass(frozen=True)
class FoldFeatures:
    """One encoder's features of a fold's clips.

    Attributes:
        test: see ``FoldDatasets``, as are the next two.
        validation: None under ``test_selected``.
        train: of the training speakers.
    """

    test: FrozenFeatures
    validation: FrozenFeatures | None
    train: FrozenFeatures

    @classmethod
    def open(cls, folder: Path, datasets: FoldDatasets, *, sequences: bool = False) -> FoldFeatures:
        """Read the features of a fold's clips.

        Args:
            folder: holds one folder a speaker.
            datasets: the clips.
            sequences: whether to read the sequences too.

        Raises:
            CfnsrError: see ``FrozenFeatures.open``; or two sets have features of other weights.
        """

        def of(clips: Clips) -> FrozenFeatures:
            return FrozenFeatures.open(folder, clips, sequences=sequences)

        validation = None if datasets.validation is None else of(datasets.validation)
        fold = cls(of(datasets.test), validation, of(datasets.train))
        for other in (fold.test, fold.validation):
            if other is not None and other.facts != fold.facts:
                problem = "the training speakers' features were made by another extractor, or with other weights"
                raise CfnsrError(folder, problem, stored.AGAIN)
        return fold

    @property
    def facts(self) -> Facts:
        """Return the facts of the extractor."""
        return self.train.facts

    @property
    def selection(self) -> FrozenFeatures:
        """Return the features of the clips that choose."""
        return self.test if self.validation is None else self.validation


def has_seen(facts: Facts, corpus: str) -> str:
    """Say whether an encoder's weights have seen a corpus: ``yes``, ``no``, or ``unknown``.

    A corpus of the user's own is known to nobody. RAVDESS's sound is that of its videos.
    """
    if facts.trained_on == ():
        return "no"
    if facts.trained_on is None or corpus == "folder":
        return "unknown"
    same = {corpus.removesuffix("_speech"), f"{corpus.removesuffix('_speech')}_speech"}
    return "yes" if same & {*facts.trained_on} else "no"


def require_unseen(facts: Facts, corpus: str, where: str, *, allow: bool) -> str:
    """Refuse an encoder whose weights have seen the corpus; return what ``has_seen`` says.

    Args:
        facts: of the extractor.
        corpus: its name.
        where: the row's path in params.yaml, for the error.
        allow: whether to run it all the same.

    Raises:
        CfnsrError: the weights have seen the corpus.
    """
    seen = has_seen(facts, corpus)
    if seen == "yes" and not allow:
        problem = f"its weights have seen {corpus}: its figures would be worth nothing"
        raise CfnsrError(where, problem, "Remove it, or set probe.allow_seen: true to see it all the same")
    return seen


def with_sequences(datasets: FoldDatasets, features: Mapping[str, FoldFeatures]) -> FoldDatasets:
    """Return a fold's clips with the arrays ``video_sequence`` and ``audio_sequence`` in place of all others.

    Args:
        datasets: the clips.
        features: of these clips, with sequences, by modality.
    """

    def of(clips: Clips, role: str) -> Clips:
        parts = {modality: getattr(fold, role).sequences for modality, fold in features.items()}
        return clips.with_arrays({f"{modality}_sequence": sequences for modality, sequences in parts.items()})

    validation = None if datasets.validation is None else of(datasets.validation, "validation")
    return replace(datasets, test=of(datasets.test, "test"), validation=validation, train=of(datasets.train, "train"))


def describing_encoders(
    build: Callable[[], tuple[nn.Module, ModelSpec]],
    features: Mapping[str, FoldFeatures],
    sections: Mapping[str, Mapping[str, Any]],
) -> Callable[[], tuple[nn.Module, ModelSpec]]:
    """Return what builds a network and describes it, with the encoders that make its sequences.

    Args:
        build: builds and describes the network without them.
        features: of the encoders, by modality.
        sections: by modality, ``options`` and ``sequence`` of the encoder in params.yaml.
    """
    encoders = {
        modality: {
            "extractor": asdict(of_fold.facts),
            "options": sections[modality]["options"],
            **sections[modality]["sequence"],
        }
        for modality, of_fold in features.items()
    }

    def described() -> tuple[nn.Module, ModelSpec]:
        network, spec = build()
        return network, replace(spec, preprocessing={**spec.preprocessing, ENCODERS: encoders})

    return described
