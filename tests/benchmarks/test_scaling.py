"""The cost model: by hand where a hand can follow, and its figures in the docs are those it gives."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.cost import Cluster, Costs, Work, cell_s, dvc_s, in_turn, on, side_by_side

COSTS = Costs(
    cores=2,
    make=4.0,
    boxes=0.5,
    extract=2.0,
    check=0.25,
    array_mb=500.0,
    load=1.0,
    step={"video": 4.0, "audio": 3.0, "cfnsr": 5.0},
    look={"video": 1.0, "audio": 1.0, "cfnsr": 1.0},
    gradient_mb={"video": 100.0, "audio": 100.0, "cfnsr": 100.0},
    starts=dict.fromkeys(("download", "landmarks", "crop", "extract", "check", "pretrain", "train", "report"), 1.0),
    stage=1.0,
    stage_kb=0.1,
    begin=2.0,
    begin_kb=0.01,
    data_kb=10.0,
    cell_kb=20.0,
    keep_gb=3.0,
    join=5.0,
    gather_gb=2.0,
)
WORK = Work(clips=60, speakers=6, folds=3, epochs={"video": 2, "audio": 2, "cfnsr": 1}, batch_size=8)


def test_pieces_side_by_side_wait_for_a_slot_and_for_the_lock() -> None:
    assert side_by_side([3, 2, 2, 1], 2, 0, 0) == 4
    assert side_by_side([3, 2], 1, 1, 0.5) == 3 + 2 + 2 * 1.5
    assert side_by_side([10, 10, 10], 3, 1, 2) == 1 + 10 + 2 + 2 + 2  # begun at 1, 2 and 3; the first lets go at 13
    assert side_by_side([0, 0, 0], 3, 1, 1) == 6


@given(st.lists(st.floats(0, 10), min_size=1, max_size=12), st.integers(1, 5), st.floats(0, 2), st.floats(0, 2))
def test_side_by_side_is_no_faster_than_its_slots_and_its_lock(
    durations: list[float], slots: int, before: float, after: float
) -> None:
    last = side_by_side(durations, slots, before, after)
    locked = len(durations) * (before + after)
    assert last >= max(max(durations) + before + after, sum(durations) / slots, locked) - 1e-9
    assert last <= sum(durations) + locked + 1e-9


def test_a_cells_time_by_hand() -> None:
    shared, judged = cell_s(COSTS, WORK, Cluster(1, 2), "video", 1)
    assert (shared, judged) == (2 * 20 * 5, 40 * 2 * 3)
    shared, judged = cell_s(COSTS, WORK, Cluster(2, 2, faster=2.0, latency_s=0.5), "video", 2)
    exchange = 2 * 0.1 / 1.25 + 2 * 0.5
    assert shared == pytest.approx(2 * (20 * (1 + 2) / 2 + 3 * exchange)) and judged == 40 * 1.5 * 3


def test_dvc_writes_its_lock_anew_after_each_stage() -> None:
    one_by_one = sum(1 + 0.1 * (10 * number + 5) for number in range(4)) + sum(
        1 + 0.1 * (40 + 20 * number + 10) for number in range(3)
    )
    assert dvc_s(COSTS, data=4, cells=3) == pytest.approx(2 + 0.01 * 100 + one_by_one)


def test_the_phases_of_a_run_in_turn_by_hand() -> None:
    phases = in_turn(COSTS, WORK)
    assert phases["making clips"] == 120 and phases["face boxes"] == 30 and phases["extraction"] == 60
    assert phases["checking"] == 15
    assert phases["training"] == 3 * ((200 + 240) + (160 + 240) + (120 + 320))
    assert phases["starting processes"] == 6 * 3 + 3 + 3 * 4
    assert phases["DVC"] == pytest.approx(dvc_s(COSTS, data=20, cells=12) + 30 * 3)


def test_what_one_process_does_is_not_divided_by_machines() -> None:
    one, many = (on(COSTS, WORK, Cluster(nodes, 2)) for nodes in (1, 1000))
    assert many["extraction"] == one["extraction"] / 1000
    assert many["face boxes"] == one["face boxes"] == 30
    assert many["one writer"] == pytest.approx(30 * 2 - 0.06) and one["one writer"] == 0
    planned = on(COSTS, WORK, Cluster(1000, 2), by_speaker=False)
    assert planned["face boxes"] == 30 / 2000 and planned["one writer"] == 0 and planned["DVC"] < many["DVC"]


def test_batches_limit_how_many_machines_a_training_can_use() -> None:
    def training(nodes: int, batch_size: int) -> float:
        return on(COSTS, replace(WORK, batch_size=batch_size), Cluster(nodes, 2, latency_s=0))["training"]

    assert training(24, 8) == training(1000, 8)  # two modalities, three folds, four to a batch of eight
    assert training(96, 64) < training(24, 64)


def test_the_figures_in_the_docs_are_the_models(root: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "benchmarks/scaling.py"], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    assert printed.strip() in (root / "docs/scaling.md").read_text(encoding="utf-8")
    kept = Costs(**json.loads((root / "benchmarks/cost/published.json").read_text(encoding="utf-8")))
    assert {"video", "audio", "cfnsr"} == set(kept.step)
