from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cfnsr import gate
from cfnsr.bad_clips import BadClips
from cfnsr.errors import CfnsrError
from tests import corpus


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
    found.write(tmp_path / "corpus.json")
    assert gate.Gate.read(tmp_path / "corpus.json") == found


def test_speakers_that_the_run_does_not_name_are_not_looked_at(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path)
    before = corpus.inspected(folder)
    corpus.write(tmp_path, actors=["77"], clips=1)
    assert corpus.inspected(folder) == before


def test_the_fingerprint_names_the_data(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path)
    before = corpus.inspected(folder).fingerprint
    assert corpus.inspected(folder, preprocessing={"size": 17}).fingerprint != before
    edit_index(folder / "02", "source_md5", "another")
    assert corpus.inspected(folder).fingerprint != before


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: edit_index(folder, "actor", "01"), "holds clips of speaker 01"),
        (lambda folder: edit_index(folder, "label", "bored"), "unknown emotion bored"),
        (lambda folder: edit_index(folder, "source_md5", "010"), "clip clip-02-2 is the same file as clip-01-0"),
        (lambda folder: edit_array(folder, "mfcc", nan), r"mfcc\.npy: clip clip-02-3 holds NaN"),
        (lambda folder: edit_array(folder, "frames", black), r"frames\.npy: clip clip-02-3 is constant"),
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
    found.write(tmp_path / "corpus.json")
    assert gate.Gate.read(tmp_path / "corpus.json") == found


def test_too_few_clips_and_missing_speakers_are_refused(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path)
    with pytest.raises(CfnsrError, match=r"holds 8 clips, under check\.min_clips = 9"):
        corpus.inspected(folder, min_clips=9)
    with pytest.raises(CfnsrError, match=r"05/clips\.parquet: is missing"):
        corpus.inspected(folder, actors=[*corpus.ACTORS, "05"])


def test_a_fold_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match="no fold 'fold_9'; there are fold_1, fold_2, fold_3"):
        corpus.inspected(corpus.write(tmp_path)).speakers("fold_9")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"folds": {"a": 1}}'])
def test_a_file_that_is_not_a_gates_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "corpus.json").write_text(text)
    with pytest.raises(CfnsrError, match=r"corpus\.json: is not a gate's file"):
        gate.Gate.read(tmp_path / "corpus.json")


def test_a_tampered_gate_cannot_put_a_speaker_into_two_sets(tmp_path: Path) -> None:
    found = corpus.inspected(corpus.write(tmp_path / "shards"))
    path = tmp_path / "corpus.json"
    found.write(path)
    path.write_text(path.read_text().replace('"validation": [\n        "02"', '"validation": [\n        "01"'))
    with pytest.raises(CfnsrError, match="01 stand in two sets"):
        gate.Gate.read(path)
