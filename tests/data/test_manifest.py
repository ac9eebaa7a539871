from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cfnsr.corpora.filenames import LABELS
from cfnsr.data import manifest
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.validate import ValidationReport
from cfnsr.runtime.bad_clips import BadClips
from tests.support import corpus


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


def test_a_sound_corpus_passes_and_survives_its_file(tmp_path: Path) -> None:
    found = corpus.inspected(corpus.write(tmp_path / "shards"))
    assert found.clips == dict.fromkeys(corpus.ACTORS, 8)
    assert found.shapes == {"frames": [4, 16, 16, 3], "mel": [32, 36], "mfcc": [13, 36]}
    found.write(tmp_path / "manifest.json")
    assert manifest.Manifest.read(tmp_path / "manifest.json") == found


def test_speakers_that_the_run_does_not_name_are_not_looked_at(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path)
    before = corpus.inspected(folder)
    corpus.write(tmp_path, actors=["77"], clips=1)
    assert corpus.inspected(folder) == before


def test_the_fingerprint_names_the_data(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path)
    before = corpus.inspected(folder).fingerprint
    assert corpus.inspected(folder, preprocessing={"size": 17}).fingerprint != before
    edit_index(folder / "02", "label", "calm")
    relabelled = corpus.inspected(folder).fingerprint
    edit_index(folder / "02", "source_md5", "another")
    assert len({before, relabelled, corpus.inspected(folder).fingerprint}) == 3


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: edit_index(folder, "actor", "01"), "holds clips of speaker 01"),
        (lambda folder: edit_index(folder, "label", "bored"), "unknown emotion bored"),
        (lambda folder: edit_index(folder, "source_md5", "010"), "clip clip-02-2 is the same file as clip-01-0"),
        (lambda folder: edit_array(folder, "mfcc", nan), r"mfcc\.npy: clip clip-02-3 holds NaN"),
        (lambda folder: edit_array(folder, "frames", black), r"frames\.npy: clip clip-02-3 is constant"),
        (
            lambda folder: edit_array(folder, "frames", lambda values: values.astype(np.int16)),
            r"02: is not a shard \(frames\.npy holds int16, not uint8\)",
        ),
        (
            lambda folder: edit_array(folder, "mel", lambda values: values[:, :-1]),
            r"mel\.npy: clips of shape \[31, 36\]",
        ),
    ],
)
def test_contradictions_stop_the_run(tmp_path: Path, damage: Callable[[Path], None], told: str) -> None:
    folder = corpus.write(tmp_path)
    damage(folder / "02")
    with pytest.raises(CfnsrError, match=told):
        corpus.inspected(folder)


def test_skipped_clips_stop_the_run_or_stand_in_the_gates_file(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path / "shards")
    index = pd.read_parquet(folder / "02" / "clips.parquet")
    lost = pd.DataFrame([{"clip": "clip-02-x", "skipped": "has no sound"}])
    pd.concat([index, lost]).to_parquet(folder / "02" / "clips.parquet", index=False)
    with pytest.raises(CfnsrError, match=r"02, clip clip-02-x: has no sound.*or set on_bad_clip: skip"):
        corpus.inspected(folder)
    found = corpus.inspected(folder, bad=BadClips("skip"))
    assert found.skipped == {"02/clip-02-x": "has no sound"} and found.clips["02"] == 8
    found.write(tmp_path / "manifest.json")
    assert manifest.Manifest.read(tmp_path / "manifest.json") == found


def test_too_few_clips_and_missing_speakers_are_refused(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path)
    with pytest.raises(CfnsrError, match=r"holds 8 clips, under check\.min_clips = 9"):
        corpus.inspected(folder, min_clips=9)
    with pytest.raises(CfnsrError, match=r"05/clips\.parquet: is missing"):
        corpus.inspected(folder, expected=dict.fromkeys([*corpus.ACTORS, "05"]))


def test_a_fold_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match="no fold 'fold_9'; there are fold_1, fold_2, fold_3"):
        corpus.inspected(corpus.write(tmp_path)).speakers(corpus.trial("fold_9"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"protocols": {"held_out": 1}}'])
def test_a_file_that_is_not_a_gates_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(CfnsrError, match=r"corpus\.json: is not a manifest"):
        manifest.Manifest.read(tmp_path / "manifest.json")


def test_a_tampered_gate_cannot_put_a_speaker_into_two_sets(tmp_path: Path) -> None:
    found = corpus.inspected(corpus.write(tmp_path / "shards"))
    path = tmp_path / "manifest.json"
    found.write(path)
    path.write_text(re.sub(r'("validation": \[\s*)"02"', r'\1"01"', path.read_text()))
    with pytest.raises(CfnsrError, match="01 stand in two sets"):
        manifest.Manifest.read(path)


def silent(values: np.ndarray) -> np.ndarray:
    values[3] = np.random.default_rng(0).normal(-80, 1, values[3].shape)
    return values


def one_black_frame(values: np.ndarray) -> np.ndarray:
    values[3, 1] = (200, 30, 30)  # one colour, in three channels
    return values


EXPECTED = Counter(LABELS)


@pytest.mark.parametrize(
    ("damage", "told", "counted"),
    [
        (lambda folder: edit_index(folder, "source_md5", "010"), "is the same file as", {"duplicates": 1}),
        (lambda folder: edit_array(folder, "mfcc", nan), "holds NaN", {"not_finite": 1}),
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
def test_what_contradicts_itself_is_counted_and_stops_the_run(
    tmp_path: Path, damage: Callable[[Path], None], told: str, counted: dict[str, int]
) -> None:
    folder = corpus.write(tmp_path / "shards")
    expected = dict.fromkeys(corpus.ACTORS, EXPECTED)
    clean = metrics_of(corpus.found(folder, expected=expected), tmp_path)
    assert clean["clips"] == 32 and clean["speakers"] == 4 and clean["contradictions"] == 0
    damage(folder / "02")
    bad = BadClips("skip")
    found = corpus.found(folder, expected=expected, bad=bad)
    with pytest.raises(CfnsrError, match=told):
        found.stop()
    after = metrics_of(found, tmp_path, len(bad.skipped))
    assert {name: value for name, value in after.items() if value != clean[name]} == counted | {
        "contradictions": 1,
    }


def test_several_faults_are_told_as_one_and_how_many_more(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path)
    edit_array(folder / "02", "mfcc", nan)
    edit_array(folder / "03", "frames", black)
    with pytest.raises(CfnsrError, match=r"02/mfcc\.npy: clip clip-02-3 holds NaN or infinity \(and 1 more\)"):
        corpus.inspected(folder)


def test_what_is_odd_and_no_contradiction_is_counted_alone(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path / "shards")
    edit_array(folder / "02", "frames", one_black_frame)
    edit_index(folder / "03", "padded_s", 0.25)
    edit_index(folder / "03", "box_interpolated", 0.5)
    found = corpus.found(folder)
    found.stop()
    told = metrics_of(found, tmp_path)
    assert (told["black_frames"], told["padded"], told["longest_padding_s"]) == (1, 1, 0.25)
    assert told["interpolated"] == pytest.approx(0.5 / 32, abs=1e-4)


@pytest.mark.parametrize("skipped", [True, False])
def test_a_missing_clip_stops_the_run_unless_it_was_skipped(tmp_path: Path, skipped: bool) -> None:
    folder = corpus.write(tmp_path)
    index = pd.read_parquet(folder / "02" / "clips.parquet")
    gone = index.iloc[[-1]].assign(skipped="has no sound")
    kept = index.iloc[:-1]
    (pd.concat([kept, gone]) if skipped else kept).to_parquet(folder / "02" / "clips.parquet", index=False)
    for name in ("frames", "mel", "mfcc"):
        edit_array(folder / "02", name, lambda values: values[:-1])
    expected = dict.fromkeys(corpus.ACTORS, EXPECTED)
    with pytest.raises(CfnsrError, match="has no sound" if skipped else "clips are missing: 0 of 1 surprised"):
        corpus.found(folder, expected=expected)
    bad = BadClips("skip")
    found = corpus.found(folder, expected=expected, bad=bad)
    found.stop()
    assert found.missing == (0 if skipped else 1)
    assert list(bad.skipped) == (["02/clip-02-7"] if skipped else [])


def metrics_of(found: ValidationReport, folder: Path, skipped: int = 0) -> dict[str, float]:
    found.write(folder / "validation.json", skipped)
    return json.loads((folder / "validation.json").read_text())
