"""Predict how long a run takes on one machine or on many, and which part limits it.

cost_model.json holds the costs of the parts, measured at the published size on two cores of an Intel Xeon with AMX.
Work on clips is divided by cores; what DVC does and what one process writes are not, and that is where runs stop
scaling. Example: python benchmarks/cost_model.py --clips 100000 --nodes 16
"""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass
from pathlib import Path

import click

UNIMODAL, PER_SPEAKER = ("video", "audio"), 4  # stages a speaker: download, landmarks, crop, extract


@dataclass(frozen=True)
class Costs:
    """Measured costs, in seconds unless another unit is given.

    Attributes:
        cores: of the machine that was measured.
        make, extract: of one core, to make or fetch a clip, and to decode it and compute its arrays.
        boxes, check: of a clip's face boxes, and of its checks.
        array_mb: megabytes of a clip's arrays.
        load: of loading a clip in training.
        train, predict: of a clip on all cores, by network.
        start: of a stage's process until it begins to work, by kind of stage.
        begin, stage: of DVC before the first stage, and for each stage; ``_kb``: more for each KB of dvc.lock.
        data_kb, job_kb: KB that a stage of data and a job add to dvc.lock.
        keep_gb: of DVC to hash a GB of outputs and move it to its cache.
        join, gather_gb: to join a Ray cluster, and of the process that writes a GB of its results.
    """

    cores: int
    make: float
    boxes: float
    extract: float
    check: float
    array_mb: float
    load: float
    train: dict[str, float]
    predict: dict[str, float]
    start: dict[str, float]
    stage: float
    stage_kb: float
    begin: float
    begin_kb: float
    data_kb: float
    job_kb: float
    keep_gb: float
    join: float
    gather_gb: float


@dataclass(frozen=True)
class Work:
    """A corpus, the epochs of each trained network (``video`` and ``audio`` first), and systems that train nothing."""

    clips: int
    speakers: int
    folds: int
    epochs: dict[str, int]
    combined: int = 1


def job_seconds(costs: Costs, work: Work, name: str) -> float:
    """Predict the seconds of one training job: two folds are predicted after each epoch, the others trained on."""
    held_out = 2 * work.clips / work.folds
    trained, predicted = work.clips - held_out, held_out * (work.epochs[name] + 1)
    if name not in UNIMODAL:  # mean features of the training clips; test clips without each modality; attention
        predicted += trained + 1.5 * held_out
    epochs = work.epochs[name] * trained * (costs.load + costs.train[name])
    return costs.start["train"] + epochs + predicted * (costs.load + costs.predict[name])


def dvc_seconds(costs: Costs, *, data: int, jobs: int) -> float:
    """Predict DVC's own seconds in one `dvc repro`; it writes dvc.lock again after each stage."""
    lock_kb, seconds = 0.0, costs.begin + costs.begin_kb * (data * costs.data_kb + jobs * costs.job_kb)
    for count, kb in ((data, costs.data_kb), (jobs, costs.job_kb)):
        seconds += count * (costs.stage + costs.stage_kb * (lock_kb + count * kb / 2))
        lock_kb += count * kb
    return seconds


def phases(costs: Costs, work: Work, nodes: int = 1) -> dict[str, float]:
    """Predict the seconds of each phase: extraction on a Ray cluster of all nodes, jobs in parallel on them."""
    clips, jobs, gigabytes = work.clips, work.folds * len(work.epochs), work.clips * costs.array_mb / 1000
    extraction = clips * costs.extract / (nodes * costs.cores)
    data, combined = PER_SPEAKER * work.speakers + 2, work.folds * work.combined
    lock_kb = data * costs.data_kb + (jobs + combined) * costs.job_kb
    before, after = costs.begin + costs.begin_kb * lock_kb, costs.stage + costs.stage_kb * lock_kb
    fused = [name for name in work.epochs if name not in UNIMODAL]
    training = sum(work.folds * job_seconds(costs, work, name) for name in work.epochs)
    dvc = dvc_seconds(costs, data=data, jobs=jobs + combined)
    if nodes > 1:  # `cfnsr launch`
        rows = [[job_seconds(costs, work, name) for name in names] * work.folds for names in (UNIMODAL, fused)]
        training = sum(in_parallel(durations, nodes, 0, 0) for durations in rows)
        waiting = sum(in_parallel(durations, nodes, before, after) for durations in rows) - training
        dvc = dvc_seconds(costs, data=data, jobs=0) + combined * after + waiting
    starting = PER_SPEAKER * work.speakers * costs.start["data"] + combined * costs.start["combine"]
    starting += costs.start["check"] + costs.start["report"] + (work.speakers * costs.join if nodes > 1 else 0.0)
    return {
        "making clips": clips * costs.make / costs.cores,
        "face boxes": clips * costs.boxes,
        "extraction": extraction,
        "writing arrays": max(0.0, gigabytes * costs.gather_gb - extraction) if nodes > 1 else 0.0,
        "checks": clips * costs.check,
        "training": training,
        "starting processes": starting,
        "DVC": dvc + gigabytes * costs.keep_gb,
    }


def in_parallel(durations: list[float], slots: int, before: float, after: float) -> float:
    """Predict when the last job ends, where each waits for a slot, and for DVC's lock at its start and its end.

    Args:
        durations: of each job in seconds; the longest start first.
        slots: jobs at a time.
        before, after: seconds for which a job holds the lock before it runs and after it has run.
    """
    free, lock_free_at, last = [0.0] * slots, 0.0, 0.0
    waiting, ends = sorted(durations), list[float]()
    while waiting or ends:
        if waiting and free and (not ends or free[0] <= ends[0]):
            lock_free_at = max(lock_free_at, heapq.heappop(free)) + before
            heapq.heappush(ends, lock_free_at + waiting.pop())
        else:
            lock_free_at = last = max(lock_free_at, heapq.heappop(ends)) + after
            heapq.heappush(free, lock_free_at)
    return last


@click.command(help=__doc__)
@click.option("--clips", default=1440, show_default=True, help="60 a speaker, in six folds.")
@click.option("--nodes", default=1, show_default=True)
def main(clips: int, nodes: int) -> None:
    costs = Costs(**json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8")))
    work = Work(clips, max(6, round(clips / 60)), 6, {"video": 70, "audio": 70, "cfnsr": 70})
    seconds = phases(costs, work, nodes)
    for name, spent in {**seconds, "all": sum(seconds.values())}.items():
        click.echo(f"{name:20} {spent / 3600:10.1f} h {spent / sum(seconds.values()):5.0%}")


if __name__ == "__main__":
    main()
