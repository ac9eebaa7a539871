"""Share speakers out to folds so that clips and classes are balanced, join them to shards, leave out what is rare."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cfnsr.corpora.folder.prepare.intake_file import Entry
from cfnsr.corpora.folder.problems import shown
from cfnsr.errors import CfnsrError


def without_rare(entries: Sequence[Entry], least: int) -> tuple[list[Entry], dict[str, int], dict[str, int]]:
    """Leave out speakers and labels with fewer usable clips, until none is left.

    Args:
        entries: the clips.
        least: the smallest number of usable clips.

    Returns:
        The clips that stay, and the usable clips of each speaker and of each label left out.
    """
    kept, speakers, labels = list(entries), dict[str, int](), dict[str, int]()
    while True:
        rare: dict[str, dict[str, int]] = {}
        for column in ("speaker", "label"):
            counts = Counter({getattr(entry, column): 0 for entry in kept})
            counts.update(getattr(entry, column) for entry in kept if not entry.problem)
            rare[column] = {name: count for name, count in counts.items() if count < least}
        if not rare["speaker"] and not rare["label"]:
            return kept, speakers, labels
        speakers |= rare["speaker"]
        labels |= rare["label"]
        kept = [entry for entry in kept if entry.speaker not in speakers and entry.label not in labels]


def given(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Return the speakers of each fold of the labels file."""
    speakers: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        speakers[entry.fold].add(entry.speaker)
    return {fold: sorted(speakers[fold]) for fold in sorted(speakers)}


def balanced(entries: Sequence[Entry], count: int, where: object) -> dict[str, list[str]]:
    """Share speakers out to folds: the largest first, each to the fold that has least of its classes.

    Speakers who have clips of one group stay together; where no clip has a group, those who have parts of one file.

    Args:
        entries: the usable clips.
        count: of folds.
        where: the labels file, for the error.

    Raises:
        CfnsrError: there are fewer groups of speakers than folds.
    """
    units = _units(entries)
    if len(units) < count:
        what = "speakers"
        if any(len(members) > 1 for members in units.values()):
            grouped = any(entry.group for entry in entries)
            what = f"groups of speakers{'' if grouped else ' who share files (a column group may say otherwise)'}"
        enough = len(units) > 2
        remedy = f"Use --folds {len(units)}" if enough else "Three are needed: to train, to validate and to test"
        raise CfnsrError(where, f"names {len(units)} {what}, too few for {count} folds", remedy)
    unit_of = {speaker: unit for unit, members in units.items() for speaker in members}
    of_unit: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        of_unit[unit_of[entry.speaker]][entry.label] += 1
    totals = sum(of_unit.values(), Counter[str]())
    folds: list[list[str]] = [[] for _ in range(count)]
    filled = [Counter[str]() for _ in range(count)]

    def cost(fold: int, unit: str) -> tuple[float, int]:
        """Return by how much the squared shares of clips and classes grow; where equal, the smaller fold is taken."""
        new = of_unit[unit]
        shares = sum((2 * filled[fold][label] + clips) * clips / totals[label] ** 2 for label, clips in new.items())
        clips, all_clips = new.total(), totals.total()
        return round(shares + (2 * filled[fold].total() + clips) * clips / all_clips**2, 9), len(folds[fold])

    for unit in sorted(units, key=lambda unit: (-of_unit[unit].total(), unit)):
        best = min(range(count), key=lambda fold: cost(fold, unit))
        folds[best] += units[unit]
        filled[best] += of_unit[unit]
    return {f"fold_{number}": sorted(speakers) for number, speakers in enumerate(folds, start=1)}


def _units(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Return the speakers who must be in one fold together, by the first of them."""
    before = {speaker: speaker for speaker in sorted({entry.speaker for entry in entries})}

    def unit(speaker: str) -> str:
        while before[speaker] != speaker:
            before[speaker] = speaker = before[before[speaker]]
        return speaker

    first: dict[str, str] = {}
    grouped = any(entry.group for entry in entries)
    for entry in entries:
        if grouped and not entry.group:
            continue
        group = entry.group if grouped else entry.file
        lower, higher = sorted((unit(first.setdefault(group, entry.speaker)), unit(entry.speaker)))
        before[higher] = lower
    units: dict[str, list[str]] = defaultdict(list)
    for speaker in before:
        units[unit(speaker)].append(speaker)
    return units


def joined(
    entries: Sequence[Entry], folds: Mapping[str, Sequence[str]], count: int
) -> tuple[list[Entry], dict[str, list[str]]]:
    """Join the speakers of each fold to shards, which stand for speakers from then on.

    A fold gets shards by its share of the clips, one at least. Its largest speaker comes first, each to the shard that
    has fewest clips.

    Args:
        entries: the clips.
        folds: the speakers of each fold; every speaker is in one.
        count: of shards; where all folds have fewer speakers, each speaker is a shard.

    Returns:
        The clips, with the shard as the speaker; and the shards of each fold.
    """
    clips = Counter(entry.speaker for entry in entries)
    shard_of: dict[str, str] = {}
    shards: dict[str, list[str]] = {}
    for fold, speakers in folds.items():
        share = sum(clips[speaker] for speaker in speakers) / clips.total()
        first, number = sum(map(len, shards.values())), min(len(speakers), max(1, round(count * share)))
        filled = {f"shard_{first + 1 + position:03d}": 0 for position in range(number)}
        for speaker in sorted(speakers, key=lambda speaker: (-clips[speaker], speaker)):
            shard_of[speaker] = min(filled, key=lambda shard: (filled[shard], shard))
            filled[shard_of[speaker]] += clips[speaker]
        shards[fold] = list(filled)
    return [replace(entry, speaker=shard_of[entry.speaker]) for entry in entries], shards


def check_classes(entries: Sequence[Entry], train: Mapping[str, Sequence[str]], where: object) -> None:
    """Check that the training set of each fold has every class.

    Args:
        entries: the usable clips.
        train: the training speakers of each fold.
        where: the labels file, for the error.

    Raises:
        CfnsrError: a class is missing from a fold's training set.
    """
    labels = {entry.label for entry in entries}
    speakers = {label: sorted({entry.speaker for entry in entries if entry.label == label}) for label in sorted(labels)}
    missing = [
        f"{label} in {fold} (spoken by {shown(speakers[label])})"
        for fold, names in train.items()
        for label in speakers
        if not {*names} & {*speakers[label]}
    ]
    if missing:
        problem = f"classes without a clip in a fold's training set: {'; '.join(missing[:3])}"
        raise CfnsrError(where, problem, "Leave rare classes out (--min-clips, --labels), or use more folds")
