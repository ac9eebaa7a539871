"""What a run costs, from what its parts cost: the time of each phase, on one machine or on many.

A phase is what one resource is busy with. Seconds of a core are divided by cores; what DVC does, what one process
writes and what only a training's leader does are not divided by anything, and that is where runs stop scaling.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

MODALITIES = ("video", "audio")


@dataclass(frozen=True)
class Costs:
    """What the parts cost, as ``benchmarks/cost/measured.py`` measures them; seconds if not said otherwise.

    Attributes:
        cores: of the machine.
        make: of a core, to make or fetch a clip.
        boxes: of a clip's face boxes; one clip after another.
        extract: of a core, to decode a clip and make its arrays.
        check: of a clip, before training.
        array_mb: megabytes of a clip's arrays.
        load: of a clip in training.
        step: by network: of a clip in training, on all cores.
        look: by network: of a clip that is only looked at.
        gradient_mb: by network: megabytes of its gradient.
        starts: by stage: of its process, until it begins to work.
        stage, stage_kb: of DVC, a stage; and for every KB of dvc.lock.
        begin, begin_kb: of DVC, before the first stage; and for every KB of dvc.lock.
        data_kb, cell_kb: of dvc.lock, a stage of data and a cell.
        keep_gb: of DVC to hash an output and move it to the cache, a GB.
        join: to become a cluster's driver and start its workers.
        gather_gb: of one process that writes what a cluster's workers made, a GB.
    """

    cores: int
    make: float
    boxes: float
    extract: float
    check: float
    array_mb: float
    load: float
    step: dict[str, float]
    look: dict[str, float]
    gradient_mb: dict[str, float]
    starts: dict[str, float]
    stage: float
    stage_kb: float
    begin: float
    begin_kb: float
    data_kb: float
    cell_kb: float
    keep_gb: float
    join: float
    gather_gb: float


@dataclass(frozen=True)
class Work:
    """What is to be done.

    Attributes:
        clips, speakers, folds: of the corpus. Two folds of each cell are looked at, the others learned from.
        epochs: by network that is trained, ``video`` and ``audio`` first.
        batch_size: clips of a step.
        combined: systems that train nothing.
    """

    clips: int
    speakers: int
    folds: int
    epochs: dict[str, int]
    batch_size: int = 16
    combined: int = 1

    @property
    def learned(self) -> float:
        """Clips of a cell's training speakers."""
        return self.clips * (self.folds - 2) / self.folds

    @property
    def cells(self) -> int:
        return self.folds * (len(self.epochs) + self.combined)


@dataclass(frozen=True)
class Cluster:
    """What it is to be done on.

    Attributes:
        nodes: machines.
        cores: of each.
        faster: by how much each trains faster than the machine that was measured.
        link_gb: gigabytes a second between them.
        latency_s: of one exchange between two of them.
    """

    nodes: int
    cores: int
    faster: float = 1.0
    link_gb: float = 1.25
    latency_s: float = 0.0005


def cell_s(costs: Costs, work: Work, cluster: Cluster, name: str, processes: int) -> tuple[float, float]:
    """A cell of several processes: the seconds that they share, and those of its leader alone."""
    step, look = costs.step[name] / cluster.faster, costs.look[name] / cluster.faster
    steps = math.ceil(work.learned / work.batch_size)
    exchange = 2 * costs.gradient_mb[name] / 1000 / cluster.link_gb + 2 * math.log2(processes) * cluster.latency_s
    load = max(costs.load, costs.array_mb / 1000 / cluster.link_gb if cluster.nodes > 1 else 0)
    shared = work.epochs[name] * (work.learned * (load + step) / processes + (steps * exchange if processes > 1 else 0))
    others = work.clips - work.learned
    looked = others * (work.epochs[name] + 1)
    if name not in MODALITIES:  # without the face, without the voice, with what stands in for them; and its attention
        looked += 1.5 * others + work.learned
    return shared, looked * (load + look)


def dvc_s(costs: Costs, *, data: int, cells: int) -> float:
    """DVC's own time in one `dvc repro` of so many stages of data and cells: it writes dvc.lock anew after each."""
    kb, spent = 0.0, 0.0
    for count, each in ((data, costs.data_kb), (cells, costs.cell_kb)):
        spent += count * (costs.stage + costs.stage_kb * (kb + count * each / 2))
        kb += count * each
    return costs.begin + costs.begin_kb * kb + spent


def in_turn(costs: Costs, work: Work) -> dict[str, float]:
    """The phases of a plain `dvc repro` on the machine that was measured."""
    alone = Cluster(1, costs.cores)
    cells = {name: work.folds * sum(cell_s(costs, work, alone, name, 1)) for name in work.epochs}
    data = 3 * work.speakers + 2
    starts = work.speakers * sum(costs.starts[name] for name in ("download", "crop", "extract"))
    starts += sum(costs.starts[name] for name in ("landmarks", "check", "report"))
    starts += work.folds * (
        2 * costs.starts["pretrain"] + (len(work.epochs) - 2 + work.combined) * costs.starts["train"]
    )
    return {
        "making clips": work.clips * costs.make / costs.cores,
        "face boxes": work.clips * costs.boxes,
        "extraction": work.clips * costs.extract / costs.cores,
        "checking": work.clips * costs.check,
        "training": sum(cells.values()),
        "starting processes": starts,
        "DVC": dvc_s(costs, data=data, cells=work.cells) + work.clips * costs.array_mb / 1000 * costs.keep_gb,
    }


def on(costs: Costs, work: Work, cluster: Cluster, *, by_speaker: bool = True) -> dict[str, float]:
    """The phases of a run on many machines, from clips that are there: extraction on Ray, cells side by side.

    Args:
        costs, work, cluster: what, and on what.
        by_speaker: as the pipeline is: two stages a speaker, whose arrays one process writes and DVC keeps. Else as
            docs/scaling.md plans it: one stage, whose workers make boxes and arrays and write these to a store, and
            whose output is the list of what they wrote.
    """
    gigabytes, cores = work.clips * costs.array_mb / 1000, cluster.nodes * cluster.cores
    extracted, boxed, checked = work.clips * costs.extract / cores, work.clips * costs.boxes, work.clips * costs.check
    if by_speaker:
        stages = 2 * work.speakers + 2
        written = max(0.0, gigabytes * costs.gather_gb - extracted) if cluster.nodes > 1 else 0.0
        kept = gigabytes * costs.keep_gb
        started = work.speakers * (costs.starts["crop"] + costs.starts["extract"])
        started += work.speakers * costs.join if cluster.nodes > 1 else 0.0
    else:
        stages, boxed, checked, kept = 4, boxed / cores, checked / cores, 0.0
        written = max(0.0, gigabytes / cluster.nodes / cluster.link_gb - extracted)
        started = costs.starts["extract"] + costs.join
    lock_kb = stages * costs.data_kb + work.cells * costs.cell_kb
    before, after = costs.begin + costs.begin_kb * lock_kb, costs.stage + costs.stage_kb * lock_kb
    training, judging = trained(costs, work, cluster, judged=False), trained(costs, work, cluster)
    if cluster.nodes == 1:  # a plain `dvc repro`
        waited = work.cells * after
    else:
        waited = trained(costs, work, cluster, before=before, after=after) - judging
    return {
        "face boxes": boxed,
        "extraction": extracted,
        "one writer": written,
        "checking": checked,
        "training": training,
        "judging epochs": judging - training,
        "starting processes": started,
        "DVC": dvc_s(costs, data=stages, cells=0) + kept + waited,
    }


def trained(
    costs: Costs, work: Work, cluster: Cluster, *, judged: bool = True, before: float = 0.0, after: float = 0.0
) -> float:
    """How long the cells take side by side: both modalities first, then what starts from them.

    Machines left over train cells together, as many to one as its batches can be shared by.

    Args:
        costs, work, cluster: what, and on what.
        judged: whether the leaders look at validation and test speakers.
        before, after: as in ``side_by_side``.
    """
    whole = 0.0
    for names in (MODALITIES, [name for name in work.epochs if name not in MODALITIES]):
        count = work.folds * len(names)
        processes = max(1, min(cluster.nodes // count, work.batch_size // 2))
        spent = [cell_s(costs, work, cluster, name, processes) for name in names]
        durations = [costs.starts["train"] + shared + judged * alone for shared, alone in spent]
        whole += side_by_side(durations * work.folds, max(1, cluster.nodes // processes), before, after)
    return whole


def side_by_side(durations: list[float], slots: int, before: float, after: float) -> float:
    """The time of the last end, when each piece of work waits for a slot, and for DVC's lock at both ends.

    Args:
        durations: of each, in seconds; the longest are begun first.
        slots: how many run at a time.
        before, after: seconds for which each has the lock before it runs, and when it has run.
    """
    free, lock_free_at, last = [0.0] * slots, 0.0, 0.0
    ahead, ends = sorted(durations), list[float]()  # when each that runs will want the lock again
    while ahead or ends:
        if ahead and free and (not ends or free[0] <= ends[0]):
            lock_free_at = max(lock_free_at, heapq.heappop(free)) + before
            heapq.heappush(ends, lock_free_at + ahead.pop())
        else:
            lock_free_at = max(lock_free_at, heapq.heappop(ends)) + after
            last = max(last, lock_free_at)
            heapq.heappush(free, lock_free_at)
    return last
