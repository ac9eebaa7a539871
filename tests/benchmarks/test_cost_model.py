from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.cost_model import Costs, Work, dvc_seconds, in_parallel, job_seconds, main, phases

COSTS = Costs(
    cores=2,
    make=4.0,
    boxes=0.5,
    extract=2.0,
    check=0.25,
    array_mb=500.0,
    load=1.0,
    train={"video": 4.0, "audio": 3.0, "cfnsr": 5.0},
    predict={"video": 1.0, "audio": 1.0, "cfnsr": 1.0},
    start={"data": 1.0, "check": 1.0, "combine": 1.0, "train": 1.0, "report": 1.0},
    stage=1.0,
    stage_kb=0.1,
    begin=2.0,
    begin_kb=0.01,
    data_kb=10.0,
    job_kb=20.0,
    keep_gb=3.0,
    join=5.0,
    gather_gb=2.0,
)
WORK = Work(clips=60, speakers=6, folds=3, epochs={"video": 2, "audio": 2, "cfnsr": 1})


def test_jobs_wait_for_slots_and_the_lock() -> None:
    assert in_parallel([3, 2, 2, 1], 2, 0, 0) == 4
    assert in_parallel([3, 2], 1, 1, 0.5) == 3 + 2 + 2 * 1.5
    assert in_parallel([10, 10, 10], 3, 1, 2) == 1 + 10 + 2 + 2 + 2  # started at 1, 2 and 3; the first ends at 13
    assert in_parallel([0, 0, 0], 3, 1, 1) == 6


@given(st.lists(st.floats(0, 10), min_size=1, max_size=12), st.integers(1, 5), st.floats(0, 2), st.floats(0, 2))
def test_slots_and_lock_bound_the_time(durations: list[float], slots: int, before: float, after: float) -> None:
    last = in_parallel(durations, slots, before, after)
    locked = len(durations) * (before + after)
    assert last >= max(max(durations) + before + after, sum(durations) / slots, locked) - 1e-9
    assert last <= sum(durations) + locked + 1e-9


def test_job_seconds_agree_with_a_hand_calculation() -> None:
    assert job_seconds(COSTS, WORK, "video") == 1 + 2 * 20 * (1 + 4) + 40 * 3 * (1 + 1)
    assert job_seconds(COSTS, WORK, "cfnsr") == 1 + 20 * (1 + 5) + (40 * 2 + 20 + 60) * (1 + 1)


def test_dvc_writes_its_lock_after_each_stage() -> None:
    one_by_one = sum(1 + 0.1 * (10 * number + 5) for number in range(4)) + sum(
        1 + 0.1 * (40 + 20 * number + 10) for number in range(3)
    )
    assert dvc_seconds(COSTS, data=4, jobs=3) == pytest.approx(2 + 0.01 * 100 + one_by_one)


def test_phases_agree_with_a_hand_calculation() -> None:
    seconds = phases(COSTS, WORK)
    assert (seconds["making clips"], seconds["face boxes"], seconds["extraction"]) == (120, 30, 60)
    assert (seconds["checks"], seconds["writing arrays"]) == (15, 0)
    assert seconds["training"] == 3 * (441 + 401 + 441)
    assert seconds["starting processes"] == 4 * 6 + 3 + 2
    assert seconds["DVC"] == pytest.approx(dvc_seconds(COSTS, data=26, jobs=12) + 30 * 3)


def test_more_nodes_divide_only_work_on_clips() -> None:
    single, many = phases(COSTS, WORK), phases(COSTS, WORK, nodes=1000)
    assert many["extraction"] == single["extraction"] / 1000
    assert many["face boxes"] == single["face boxes"]
    assert many["training"] == 441 + 441  # the longest unimodal job, then CFN-SR
    assert many["writing arrays"] == pytest.approx(30 * 2 - 0.06)


def test_measured_costs_predict_that_training_dominates(root: Path) -> None:
    costs = Costs(**json.loads((root / "benchmarks/cost_model.json").read_text(encoding="utf-8")))
    seconds = phases(costs, Work(1440, 24, 6, {"video": 70, "audio": 70, "cfnsr": 70}))
    assert seconds["training"] > 0.95 * sum(seconds.values())
    printed = CliRunner().invoke(main, ["--nodes", "4"]).output
    assert [line.split("  ")[0] for line in printed.splitlines()] == [*seconds, "all"]
