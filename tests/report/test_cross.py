"""Rows that were trained on other corpora: their figures, and the held-out figures beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cfnsr.data.splits import PROTOCOLS, split
from cfnsr.errors import CfnsrError
from cfnsr.features.cross_record import FOLDER, CrossRecord
from cfnsr.report import cross, metrics, significance
from tests.support import made_up_results
from tests.support.made_up_results import LABELS, write_cross


def gathered(folder: Path, held_out: dict[str, pd.DataFrame]) -> list[cross.CrossRow]:
    return cross.gather(folder, made_up_results.manifest(), ["audio"], held_out, 0.95)


def test_figures_are_those_of_the_clips_tested(tmp_path: Path) -> None:
    write_cross(tmp_path)
    first, second, third = gathered(tmp_path, {})
    assert (first.trained_on, second.standardise, third.trained_on) == ("emodb", "target", "emodb, crema_d")
    tables = pd.read_parquet(tmp_path / "jobs" / FOLDER / "audio/predictions.parquet")
    part = tables[(tables["trained_on"] == "emodb") & (tables["standardise"] == "training")]
    right = part["label"] == part["predicted"]
    assert first.accuracy == right.mean() and first.clips == len(part) == 24
    assert first.uar == pytest.approx(right.groupby(part["label"]).mean().mean())
    assert (first.ci_low, first.ci_high) == significance.interval(metrics.by_speaker(part), 0.95)
    assert (first.speakers, first.not_tested, first.chance, first.held_out) == (4, 8, 1 / 3, None)
    assert first.emotions == "anger, happiness, sadness" and first.name == "audio from emodb, by training"
    assert len({row.name for row in (first, second, third)}) == 3


def test_held_out_figures_are_of_the_same_clips(tmp_path: Path) -> None:
    """Two seeds, one of which predicts everything correctly."""
    write_cross(tmp_path)
    every = made_up_results.predictions("audio")
    right = every.assign(predicted=every["label"], seed=8, **{f"p_{label}": 0.0 for label in LABELS})
    for label in LABELS:
        right.loc[right["label"] == label, f"p_{label}"] = 1.0
    row = gathered(tmp_path, {"audio": pd.concat([every, right])})[0]
    part = every[every["label"] != "calm"]
    kept = part[["p_angry", "p_happy", "p_sad"]].to_numpy().argmax(axis=1)
    share = np.mean(np.array(["angry", "happy", "sad"])[kept] == part["label"].to_numpy())
    assert row.held_out == pytest.approx((share + 1) / 2) and share < 1
    assert row.held_out_ci_low < row.held_out < row.held_out_ci_high and row.held_out_uar > share


def test_probabilities_of_joined_emotions_are_added() -> None:
    table = pd.DataFrame(
        {
            "actor": ["1", "1", "2"],
            "clip": ["a", "b", "c"],
            "label": ["calm", "sad", "angry"],
            "predicted": ["sad", "sad", "sad"],
            "p_calm": [0.2, 0.1, 0.0],
            "p_neutral": [0.2, 0.1, 0.0],
            "p_sad": [0.3, 0.5, 0.0],
            "p_angry": [0.3, 0.3, 1.0],
        }
    )
    names = {"calm": "neutral", "neutral": "neutral", "sad": "sadness", "angry": "anger"}
    kept = cross.restricted(table, names, ["neutral", "sadness"])
    assert kept["label"].tolist() == ["neutral", "sadness"] and kept["predicted"].tolist() == ["neutral", "sadness"]
    assert kept["p_neutral"].tolist() == pytest.approx([4 / 7, 2 / 7])
    # No probability is left for these two: neither is preferred for it.
    certain = table.assign(p_calm=0.0, p_neutral=0.0, p_sad=0.0, p_angry=1.0)
    assert np.allclose(cross.restricted(certain, names, ["neutral", "sadness"])["p_neutral"], 0.5)


def test_results_of_other_data_are_refused(tmp_path: Path) -> None:
    write_cross(tmp_path)
    path = tmp_path / "jobs" / FOLDER / "audio/record.json"
    replace(CrossRecord.read(path), data="other").write(path)
    with pytest.raises(CfnsrError, match=r"record.json: was made from other data .* Run `dvc repro`"):
        gathered(tmp_path, {})


def test_results_of_other_speakers_are_refused(tmp_path: Path) -> None:
    write_cross(tmp_path)
    folds = {"fold_1": ["01"], "fold_2": ["02"], "fold_3": ["03"]}
    protocols = {protocol: split(protocol, made_up_results.ACTORS, folds) for protocol in PROTOCOLS}
    manifest = made_up_results.manifest(protocols=protocols)
    with pytest.raises(CfnsrError, match=r"record\.json: tests other speakers than the folds do\. Run `dvc repro`"):
        cross.gather(tmp_path, manifest, ["audio"], {}, 0.95)


@pytest.mark.parametrize("change", [{"name": "video"}, {"labels": {}}])
def test_record_of_another_row_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    write_cross(tmp_path)
    path = tmp_path / "jobs" / FOLDER / "audio/record.json"
    replace(CrossRecord.read(path), **change).write(path)
    with pytest.raises(CfnsrError, match=r"record\.json: is of the row (video|audio) with the emotions"):
        gathered(tmp_path, {})


def test_clips_that_repeat_are_refused(tmp_path: Path) -> None:
    write_cross(tmp_path)
    path = tmp_path / "jobs" / FOLDER / "audio/predictions.parquet"
    table = pd.read_parquet(path)
    pd.concat([table, table[:1]]).to_parquet(path, index=False)
    with pytest.raises(CfnsrError, match=r"predictions\.parquet: does not predict each clip once"):
        gathered(tmp_path, {})


def test_metrics_name_each_row(tmp_path: Path) -> None:
    write_cross(tmp_path)
    rows = gathered(tmp_path, {})
    assert cross.metric([]) == {}
    assert list(cross.metric(rows)["cross_accuracy"]) == [
        "audio from emodb, by training",
        "audio from emodb, by target",
        "audio from emodb and crema_d, by training",
    ]
