"""Train a linear classifier on the frozen features of other corpora, and test it on this one.

Nothing is fitted to labels of the corpus that is tested. With ``standardise`` ``target`` its features have a part,
without their labels: each corpus is standardised by its own mean and deviation (transductive).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Float32

from cfnsr.errors import CfnsrError
from cfnsr.evaluation.outputs import to_table
from cfnsr.features import probe
from cfnsr.features.cross_record import CrossTraining
from cfnsr.features.fold import FrozenFeatures
from cfnsr.features.imported import ImportedFeatures
from cfnsr.features.probe import Probe

TARGET = "target"
_EVERY = 4  # of the training corpora's speakers, every fourth chooses layer and strength


def train_and_test(
    sources: Sequence[ImportedFeatures],
    target: FrozenFeatures,
    index: pd.DataFrame,
    labels: Mapping[str, str],
    *,
    standardise: str,
    c: list[float],
    refit: bool,
) -> tuple[CrossTraining, pd.DataFrame]:
    """Train on other corpora, and test on all clips whose emotion one of them has.

    Args:
        sources: the training corpora.
        target: features of the tested corpus's clips.
        index: of the same clips, as in the shards' index.
        labels: by emotion of the tested corpus, its common name, in the order of their class index.
        standardise, c, refit: see ``fit``.

    Returns:
        The description, and the table of predictions, see ``cfnsr.evaluation.outputs.to_table``.

    Raises:
        CfnsrError: see ``fit``; or one speaker alone has all tested clips.
    """
    names = [source.corpus for source in sources]
    emotions = shared_emotions(sources, [*labels.values()])
    fitted = fit(sources, emotions, standardise, c, refit=refit)
    predicted = fitted.predict(target_features(target, standardise))
    common = [labels[label] for label in index["label"]]
    tested = np.flatnonzero([label in emotions for label in common])
    table = to_table(index.assign(label=common).iloc[tested], emotions, "selected", predicted[tested])
    if len({*table["actor"]}) < 2:
        problem = f"fewer than two speakers have a clip of {', '.join(emotions)}"
        raise CfnsrError(f"run.cross.corpora: {', '.join(names)}", problem, "Remove it, or complete cross.labels")
    training = CrossTraining(
        trained_on=names,
        standardise=standardise,
        emotions=emotions,
        training_clips=sum(len(source.index) for source in sources),
        training_speakers=sum(len({*source.index["actor"]}) for source in sources),
        left_out={source.corpus: source.left_out for source in sources},
        tested=len(table),
        not_tested=dict(Counter(label for label in common if label not in emotions)),
        layer=fitted.layer,
        c=fitted.c,
    )
    return training, table.assign(trained_on=", ".join(names), standardise=standardise)


def training_sets(sources: Sequence[ImportedFeatures]) -> list[list[ImportedFeatures]]:
    """List what to train on: each corpus alone, and all together where there are several."""
    return [*([source] for source in sources), *([list(sources)] if len(sources) > 1 else [])]


def shared_emotions(sources: Sequence[ImportedFeatures], common: Sequence[str]) -> list[str]:
    """Return the emotions that some training corpus has, in the order of ``common``, the tested corpus's."""
    known = {label for source in sources for label in source.index["label"]}
    return [label for label in dict.fromkeys(common) if label in known]


def check_sources(sources: Sequence[ImportedFeatures], target: FrozenFeatures, recordings: set[str]) -> None:
    """Check that training and tested clips have the same kind of features, and are different recordings.

    Args:
        sources: of the training corpora.
        target: of the corpus that is tested.
        recordings: md5 of the tested corpus's files.

    Raises:
        CfnsrError: extractor, weights or size of the features differ; or two corpora share a recording.
    """
    owners = dict.fromkeys(recordings, "the corpus that is tested")
    for source in sources:
        where = f"run.cross.corpora: {source.corpus}"
        again = f"Run `cfnsr preset {source.corpus}` and `dvc repro features` with the same section of features"
        if source.facts != target.facts or source.means.shape[1:] != target.means.shape[1:]:
            raise CfnsrError(where, "its features are of another extractor, of other weights or options", again)
        for clip, recording in zip(source.index["clip"], source.index["source_md5"], strict=True):
            owner = owners.setdefault(recording, source.corpus)
            if owner != source.corpus:
                raise CfnsrError(where, f"its clip {clip} is also in {owner}", "Remove one of the two corpora")


def fit(
    sources: Sequence[ImportedFeatures], emotions: Sequence[str], standardise: str, c: list[float], *, refit: bool
) -> Probe:
    """Train a classifier on other corpora.

    Every fourth speaker of each of them chooses the encoder's layer and the strength of the regularisation.

    Args:
        sources: the training corpora.
        emotions: in the order of their class index.
        standardise: ``training``, by all training clips; or ``target``, each corpus by its own.
        c: inverse strengths of the regularisation.
        refit: then train again, on the choosing speakers too.

    Raises:
        CfnsrError: a corpus has one speaker only, or an emotion only clips of speakers that choose.
    """
    parts: dict[bool, list[FrozenFeatures]] = {True: [], False: []}
    for source in sources:
        means = own_scale(source.means) if standardise == TARGET else source.means
        classes = np.array([emotions.index(label) for label in source.index["label"]], np.int64)
        choosing = source.index["actor"].isin(sorted(set(source.index["actor"]))[::_EVERY]).to_numpy()
        if choosing.all():
            problem = "one speaker alone cannot both train and choose"
            raise CfnsrError(f"run.cross.corpora: {source.corpus}", problem, "Remove it, or prepare more speakers")
        for chooses, of_part in parts.items():
            used = choosing == chooses
            of_part.append(FrozenFeatures(source.facts, means[used], classes[used]))
    training, selection = joined(parts[False]), joined(parts[True])
    lacking = [emotion for number, emotion in enumerate(emotions) if number not in training.classes]
    if lacking:
        names = ", ".join(source.corpus for source in sources)
        problem = f"only speakers that choose the layer have clips of {lacking[0]}"
        raise CfnsrError(f"run.cross.corpora: {names}", problem, "Prepare more speakers, or remove the corpus")
    chosen = probe.choose(training, selection, c, len(emotions))
    if refit:
        chosen = probe.fit(training.joined(selection), chosen.layer, chosen.c, len(emotions))
    return chosen


def target_features(target: FrozenFeatures, standardise: str) -> FrozenFeatures:
    """Return the tested corpus's features as the classifier expects them.

    Args:
        target: all clips, whatever their emotion: which ones are shared may not be known before their labels are.
        standardise: see ``fit``.
    """
    return replace(target, means=own_scale(target.means)) if standardise == TARGET else target


def own_scale(means: Float32[np.ndarray, "clip layer width"]) -> Float32[np.ndarray, "clip layer width"]:
    """Standardise features by the mean and deviation of the same clips."""
    values = means.astype(np.float64)
    scale = values.std(axis=0)
    scale[scale == 0] = 1.0  # a feature that never changes tells nothing
    return ((values - values.mean(axis=0)) / scale).astype(np.float32)


def joined(parts: Sequence[FrozenFeatures]) -> FrozenFeatures:
    """Return clips of several corpora, one corpus after another."""
    first, *others = parts
    for part in others:
        first = first.joined(part)
    return first
