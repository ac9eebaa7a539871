"""Folds that are balanced by clips and classes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from cfnsr.corpora.folder import folds
from cfnsr.corpora.folder.prepare.intake_file import Entry
from cfnsr.errors import CfnsrError


def entries(clips: dict[str, str], groups: dict[str, str] | None = None) -> list[Entry]:
    """Return clips by speaker, one letter a clip, which is its label."""
    return [
        Entry(f"{speaker}_{number}", f"{speaker}_{number}.mp4", label, speaker, group=(groups or {}).get(speaker, ""))
        for speaker, labels in clips.items()
        for number, label in enumerate(labels)
    ]


def test_folds_balance_clips_and_classes() -> None:
    sizes = {f"s{number}": "a" * (number % 7 + 1) + "b" * (number % 5 + 1) for number in range(30)}
    shared = folds.balanced(entries(sizes), 5, "sheet")
    assert sorted(speaker for speakers in shared.values() for speaker in speakers) == sorted(sizes)
    counts = [Counter("".join(sizes[speaker] for speaker in speakers)) for speakers in shared.values()]
    for label in "ab":
        clips = [count[label] for count in counts]
        assert max(clips) - min(clips) <= 3


def test_equal_speakers_are_dealt_in_turn() -> None:
    shared = folds.balanced(entries({str(number): "ab" for number in range(7)}), 3, "sheet")
    assert shared == {"fold_1": ["0", "3", "6"], "fold_2": ["1", "4"], "fold_3": ["2", "5"]}


def test_groups_joined_by_a_speaker_stay_together() -> None:
    clips = entries({"a": "xy", "b": "xy", "c": "xy", "d": "xy", "e": "xy"}, {"a": "g", "b": "g", "c": "h", "d": "i"})
    clips.append(Entry("b_9", "b_9.mp4", "x", "b", group="h"))
    shared = folds.balanced(clips, 3, "sheet")
    assert list(shared.values()) == [["a", "b", "c"], ["d"], ["e"]]


def test_speakers_of_one_file_stay_together() -> None:
    clips = [*entries({"a": "xy", "b": "xy", "c": "xy", "d": "xy"}), Entry("b_9", "a_0.mp4", "x", "b", start_s=5)]
    assert sorted(folds.balanced(clips, 3, "sheet").values()) == [["a", "b"], ["c"], ["d"]]
    with pytest.raises(CfnsrError, match="names 3 groups of speakers who share files"):
        folds.balanced(clips, 4, "sheet")
    grouped = [replace(clip, group=clip.speaker) for clip in clips]
    assert sorted(folds.balanced(grouped, 4, "sheet").values()) == [["a"], ["b"], ["c"], ["d"]]


def test_shards_hold_whole_speakers_of_one_fold() -> None:
    sizes = {f"s{number:02d}": "ab" * (number % 7 + 1) for number in range(40)}
    clips = entries(sizes)
    before = folds.balanced(clips, 4, "sheet")
    joined, after = folds.joined(clips, before, 12)
    shards = [shard for shards in after.values() for shard in shards]
    assert shards == [f"shard_{number:03d}" for number in range(1, 13)] and after.keys() == before.keys()
    shards_of = {
        clip.speaker: {new.speaker for old, new in zip(clips, joined, strict=True) if old == clip} for clip in clips
    }
    for fold, speakers in before.items():
        assert all(len(shards_of[speaker]) == 1 and shards_of[speaker] <= {*after[fold]} for speaker in speakers)
    counts = Counter(clip.speaker for clip in joined)
    assert max(counts.values()) - min(counts.values()) <= 14
    assert folds.joined(clips, before, 12) == (joined, after)


def test_more_shards_than_speakers_are_the_speakers() -> None:
    joined, after = folds.joined(entries({"a": "xy", "b": "xy"}), {"fold_1": ["a"], "fold_2": ["b"]}, 50)
    assert after == {"fold_1": ["shard_001"], "fold_2": ["shard_002"]}
    assert [clip.speaker for clip in joined] == ["shard_001", "shard_001", "shard_002", "shard_002"]


def test_rare_ones_are_left_out_until_none_is_left() -> None:
    clips = entries({"a": "xxxy", "b": "xxz", "c": "zz"})
    kept, speakers, labels = folds.without_rare(clips, 3)
    assert {entry.speaker for entry in kept} == {"a"} and {entry.label for entry in kept} == {"x"}
    assert speakers == {"c": 2, "b": 2} and labels == {"y": 1, "z": 1}


def test_class_that_a_training_set_lacks_is_refused() -> None:
    clips = entries({"a": "xy", "b": "x", "c": "xy"})
    folds.check_classes(clips, {"fold_1": ["a"]}, "sheet")
    with pytest.raises(CfnsrError, match=r"y in fold_2 \(spoken by 2 \(a, c\)\)"):
        folds.check_classes(clips, {"fold_1": ["a"], "fold_2": ["b"]}, "sheet")
