from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cfnsr.corpora.filenames import LABELS
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import validate
from cfnsr.preprocessing.validate import ValidationReport
from cfnsr.runtime import libraries
from cfnsr.runtime.bad_clips import BadClips
from tests.support import corpus


def report(folder: Path, **changes: Any) -> ValidationReport:
    """Validate a synthetic corpus, which may have faults."""
    options: dict[str, Any] = {
        "labels": list(LABELS),
        "expected": dict.fromkeys(corpus.ACTORS),
        "min_clips": 4,
        "silence_db": -50.0,
        "bad": BadClips("fail"),
        "preprocessing": {"size": 16},
    }
    return validate.validate(folder, **{**options, **changes})


def validated(folder: Path, **changes: Any) -> ValidationReport:
    """Validate a synthetic corpus; raise its first fault."""
    valid = report(folder, **changes)
    valid.raise_first()
    return valid


def edit_index(folder: Path, column: str, value: object) -> None:
    index = pd.read_parquet(folder / "clips.parquet")
    index.loc[2, column] = value
    index.to_parquet(folder / "clips.parquet", index=False)


def edit_array(folder: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    np.save(folder / f"{name}.npy", change(np.load(folder / f"{name}.npy")))


def nan(values: np.ndarray) -> np.ndarray:
    values[3, 0, 0] = np.nan
    return values


def black(values: np.ndarray) -> np.ndarray:
    values[3] = 0
    return values


def test_sound_corpus_passes(tmp_path: Path) -> None:
    valid = validated(corpus.write(tmp_path / "shards"))
    assert valid.clips == dict.fromkeys(corpus.ACTORS, 8)
    assert valid.shapes == {"frames": [4, 16, 16, 3], "mel": [32, 36], "mfcc": [13, 36]}


def test_speakers_not_listed_are_not_read(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path)
    before = validated(folder)
    corpus.write(tmp_path, actors=["77"], clips=1)
    assert validated(folder) == before


def test_libraries_of_all_speakers_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = corpus.write(tmp_path)
    monkeypatch.setattr(libraries, "versions", lambda: {"torch": "2.0.0"})
    corpus.write(tmp_path, actors=["02"])
    monkeypatch.undo()
    assert validated(folder).libraries == [libraries.versions(), {"torch": "2.0.0"}]


def test_fingerprint_depends_on_data_and_preprocessing(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path)
    before = validated(folder).fingerprint
    assert validated(folder, preprocessing={"size": 17}).fingerprint != before
    edit_index(folder / "02", "label", "calm")
    relabelled = validated(folder).fingerprint
    edit_index(folder / "02", "source_md5", "another")
    assert len({before, relabelled, validated(folder).fingerprint}) == 3


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: edit_index(folder, "actor", "01"), "contains clips of speaker 01"),
        (lambda folder: edit_index(folder, "label", "bored"), "unknown emotion bored"),
        (lambda folder: edit_index(folder, "source_md5", "010"), "clip clip-02-2 is the same file as clip-01-0"),
        (lambda folder: edit_array(folder, "mfcc", nan), r"mfcc\.npy: clip clip-02-3 contains NaN"),
        (lambda folder: edit_array(folder, "frames", black), r"frames\.npy: clip clip-02-3 is constant"),
        (
            lambda folder: edit_array(folder, "frames", lambda values: values.astype(np.int16)),
            r"02/frames\.npy: is not the array frames .* int16 of shape .*, not uint8",
        ),
        (
            lambda folder: edit_array(folder, "mel", lambda values: values[:, :-1]),
            r"mel\.npy: has clips of shape \[31, 36\]",
        ),
    ],
)
def test_contradictions_stop_the_run(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    folder = corpus.write(tmp_path)
    damage(folder / "02")
    with pytest.raises(CfnsrError, match=message):
        validated(folder)


def test_skipped_clips_stop_or_are_recorded(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path / "shards")
    index = pd.read_parquet(folder / "02" / "clips.parquet")
    lost = pd.DataFrame([{"clip": "clip-02-x", "skipped": "has no sound"}])
    pd.concat([index, lost]).to_parquet(folder / "02" / "clips.parquet", index=False)
    with pytest.raises(CfnsrError, match=r"02, clip clip-02-x: has no sound.*or set on_bad_clip: skip"):
        validated(folder)
    bad = BadClips("skip")
    assert validated(folder, bad=bad).clips["02"] == 8 and bad.skipped == {"02/clip-02-x": "has no sound"}


def test_too_few_clips_or_speakers_are_refused(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path)
    with pytest.raises(CfnsrError, match=r"has 8 clips, under check\.min_clips = 9"):
        validated(folder, min_clips=9)
    with pytest.raises(CfnsrError, match=r"05/clips\.parquet: is missing"):
        validated(folder, expected=dict.fromkeys([*corpus.ACTORS, "05"]))


def silent(values: np.ndarray) -> np.ndarray:
    values[3] = np.random.default_rng(0).normal(-80, 1, values[3].shape)
    return values


def one_black_frame(values: np.ndarray) -> np.ndarray:
    values[3, 1] = (200, 30, 30)  # one colour, in three channels
    return values


EXPECTED = Counter(LABELS)


@pytest.mark.parametrize(
    ("damage", "message", "counted"),
    [
        (lambda folder: edit_index(folder, "source_md5", "010"), "is the same file as", {"duplicates": 1}),
        (lambda folder: edit_array(folder, "mfcc", nan), "contains NaN", {"not_finite": 1}),
        (lambda folder: edit_array(folder, "frames", black), "is constant", {"constant": 1}),
        (
            lambda folder: edit_array(folder, "mel", silent),
            r"clip-02-3 is silent: its loudest is -7\d dB",
            {"silent": 1},
        ),
        (
            lambda folder: edit_index(folder, "label", "calm"),
            "2 clips are calm, where the corpus has 1",
            {"surplus": 1, "missing": 1},
        ),
    ],
)
def test_contradictions_are_counted(
    tmp_path: Path, damage: Callable[[Path], None], message: str, counted: dict[str, int]
) -> None:
    folder = corpus.write(tmp_path / "shards")
    expected = dict.fromkeys(corpus.ACTORS, EXPECTED)
    clean = metrics_of(report(folder, expected=expected), tmp_path)
    assert clean["clips"] == 32 and clean["speakers"] == 4 and clean["contradictions"] == 0
    damage(folder / "02")
    bad = BadClips("skip")
    faulty = report(folder, expected=expected, bad=bad)
    with pytest.raises(CfnsrError, match=message):
        faulty.raise_first()
    after = metrics_of(faulty, tmp_path, len(bad.skipped))
    assert {name: value for name, value in after.items() if value != clean[name]} == counted | {
        "contradictions": 1,
    }


def test_several_faults_are_one_line(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path)
    edit_array(folder / "02", "mfcc", nan)
    edit_array(folder / "03", "frames", black)
    with pytest.raises(CfnsrError, match=r"02/mfcc\.npy: clip clip-02-3 contains NaN or infinity \(and 1 more\)"):
        validated(folder)


def test_oddities_are_counted_and_do_not_stop(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path / "shards")
    edit_array(folder / "02", "frames", one_black_frame)
    edit_index(folder / "03", "padded_s", 0.25)
    edit_index(folder / "03", "box_interpolated", 0.5)
    faulty = report(folder)
    faulty.raise_first()
    counts = metrics_of(faulty, tmp_path)
    assert (counts["black_frames"], counts["padded"], counts["longest_padding_s"]) == (1, 1, 0.25)
    assert counts["interpolated"] == pytest.approx(0.5 / 32, abs=1e-4)


@pytest.mark.parametrize(
    ("finding", "column", "value"),
    [
        ("sound_offset", "sound_offset_s", -0.3),
        ("several_tracks", "tracks", 2),
        ("lost_frames", "lost_frames", 4),
        ("scaled_frames", "scaled_frames", 1),
        ("still", "still", True),
        ("other_dynamic_range", "transfer", "hlg"),
        ("face_jumps", "box_jumps", 2),
        ("long", "duration_s", 61.0),
    ],
)
def test_odd_clips_are_listed(tmp_path: Path, finding: str, column: str, value: object) -> None:
    folder = corpus.write(tmp_path / "shards")
    assert not any(report(folder).findings.values())
    edit_index(folder / "03", column, value)
    odd = report(folder)
    odd.raise_first()
    assert {name: clips for name, clips in odd.findings.items() if clips} == {finding: ["clip-03-2"]}


def test_same_recording_twice_of_one_label_goes_on(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path / "shards", clips=9)  # the ninth has the first one's label
    index = pd.read_parquet(folder / "02" / "clips.parquet")
    index.loc[8, ["label", "source_md5"]] = index.loc[0, ["label", "source_md5"]]
    index.to_parquet(folder / "02" / "clips.parquet", index=False)
    twice = report(folder)
    twice.raise_first()
    assert twice.duplicates == 1


@pytest.mark.parametrize("skipped", [True, False])
def test_missing_clip_stops_unless_skipped(tmp_path: Path, skipped: bool) -> None:
    folder = corpus.write(tmp_path)
    index = pd.read_parquet(folder / "02" / "clips.parquet")
    skipped_row = index.iloc[[-1]].assign(skipped="has no sound")
    kept = index.iloc[:-1]
    (pd.concat([kept, skipped_row]) if skipped else kept).to_parquet(folder / "02" / "clips.parquet", index=False)
    for name in ("frames", "mel", "mfcc"):
        edit_array(folder / "02", name, lambda values: values[:-1])
    expected = dict.fromkeys(corpus.ACTORS, EXPECTED)
    with pytest.raises(CfnsrError, match="has no sound" if skipped else "clips are missing: 0 of 1 surprised"):
        report(folder, expected=expected)
    bad = BadClips("skip")
    faulty = report(folder, expected=expected, bad=bad)
    faulty.raise_first()
    assert faulty.missing == (0 if skipped else 1)
    assert list(bad.skipped) == (["02/clip-02-7"] if skipped else [])


def metrics_of(faulty: ValidationReport, folder: Path, skipped: int = 0) -> dict[str, float]:
    faulty.write(folder / "validation.json", skipped=skipped)
    return json.loads((folder / "validation.json").read_text())
