from __future__ import annotations

from cfnsr.data.splits import Trial
from cfnsr.report.expected import ExpectedOutputs, label


def test_every_row_has_every_fold_and_seed() -> None:
    rows = [("held_out", "audio"), ("test_selected", "audio")]
    expected = ExpectedOutputs.of(rows, iter(["fold_1", "fold_2"]), iter([7, 8]))
    assert list(expected.rows) == rows
    assert expected.rows["test_selected", "audio"] == [
        Trial("test_selected", fold, seed) for fold in ("fold_1", "fold_2") for seed in (7, 8)
    ]


def test_folders_follow_the_order_of_rows() -> None:
    rows = [("held_out", "video"), ("held_out", "both"), ("held_out", "audio")]
    expected = ExpectedOutputs.of(rows, ["fold_1"], [7, 8], fused=["both"])
    assert expected.models == [
        "held_out/video/fold_1/7",
        "held_out/video/fold_1/8",
        "held_out/audio/fold_1/7",
        "held_out/audio/fold_1/8",
    ]
    assert expected.jobs == [
        *expected.models[:2],
        "held_out/both/fold_1/7",
        "held_out/both/fold_1/8",
        *expected.models[2:],
    ]


def test_other_corpora_have_jobs_without_folds() -> None:
    expected = ExpectedOutputs.of([("held_out", "audio")], ["fold_1"], [7], cross=["mel_statistics"])
    assert expected.jobs == ["held_out/audio/fold_1/7", "cross_corpus/mel_statistics"]
    assert expected.models == ["held_out/audio/fold_1/7"]


def test_only_other_protocols_are_named_in_rows() -> None:
    assert label("held_out", "cfnsr") == "cfnsr"
    assert label("test_selected", "cfnsr") == "cfnsr@test_selected"
