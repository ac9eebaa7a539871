"""What the parts of a run cost here: a small run of the pipeline, and each part by itself."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.cost import Cluster, Costs, Work, cell_s
from cfnsr import config, corpora
from cfnsr.cli.profile import _fresh, _measured
from cfnsr.data import shards
from cfnsr.data.dataset import Clips, in_order
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.evaluation.predict import Normalise, predict
from cfnsr.preprocessing import extract, face_boxes, landmarks
from cfnsr.runtime.bad_clips import BadClips
from cfnsr.runtime.engines import Engine
from cfnsr.runtime.engines.threads import Threads
from tests.support.repository import Repository

NETWORKS = ("video", "audio", "cfnsr")
_GROWN = 100  # entries that dvc.lock gets, to see what they cost
_BIG_GB = 0.5


def took(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def costs(repository: Repository) -> Costs:
    """Run a repository's pipeline, which should be a small one, and measure its parts.

    Args:
        repository: whose params.yaml says at which sizes; nothing has been run in it.
    """
    whole = took(partial(repository.run, "dvc", "repro"))
    own = whole - sum(entry["wall_s"] for entry in _logged(repository))
    values = config.load(repository.folder / "params.yaml")
    manifest = Manifest.read(repository.folder / "data/studio/manifest.json")
    cores = os.cpu_count() or 1
    make, boxes, decode = _data(values, cores)
    load, step, look, gradient_mb = _training(repository, values, manifest)
    array_bytes = sum(path.stat().st_size for path in (repository.folder / "data/studio/shards/01").glob("*.npy"))
    clips = len(shards.read(repository.folder / "data/studio/shards/01").index)
    walls = _walls(repository)
    check = _check(repository)
    begin, begin_kb, stage_kb = _dvc(repository)
    data_kb, cell_kb, lock_kb = _lock(repository)
    stages = len(repository.stages)
    # What is left of DVC's own time: hashing, caching, the run cache, a shell.
    stage = max(0.0, (own - begin - begin_kb * lock_kb) / stages - stage_kb * lock_kb / 2)
    join, gather_gb = _ray(array_bytes // clips)
    found = Costs(
        cores=cores,
        make=make,
        boxes=boxes,
        extract=decode,
        check=check,
        array_mb=array_bytes / clips / 1e6,
        load=load,
        step=step,
        look=look,
        gradient_mb=gradient_mb,
        starts=walls,
        stage=stage,
        stage_kb=stage_kb,
        begin=begin,
        begin_kb=begin_kb,
        data_kb=data_kb,
        cell_kb=cell_kb,
        keep_gb=_keep(repository),
        join=join,
        gather_gb=gather_gb,
    )
    return replace(found, starts=_starts(found, values, manifest))


def _starts(known: Costs, values: config.Params, manifest: Manifest) -> dict[str, float]:
    """What is left of each stage's time when its work is taken off."""
    clips, speakers = sum(manifest.clips.values()), len(manifest.clips)
    epochs = {"video": values.pretrain.video.epochs, "audio": values.pretrain.audio.epochs}
    training = values.systems["cfnsr"].training
    assert training is not None
    work = Work(clips, speakers, len(values.folds), epochs | {"cfnsr": training.epochs})
    cells = {name: sum(cell_s(known, work, Cluster(1, known.cores), name, 1)) for name in NETWORKS}
    worked = {
        "download": clips / speakers * known.make / known.cores,
        "crop": clips / speakers * known.boxes,
        "extract": clips / speakers * known.extract / known.cores,
        "check": clips * known.check,
        "pretrain": (cells["video"] + cells["audio"]) / 2,
        "train": cells["cfnsr"] / 2,  # as many cells train nothing
    }
    return {name: max(0.0, wall - worked.get(name, 0.0)) for name, wall in known.starts.items()}


def _data(values: config.Params, cores: int) -> tuple[float, float, float]:
    """Seconds of a clip: of a core to make it, of its boxes, of a core to extract it."""
    options = values.corpora.studio.model_dump()
    with tempfile.TemporaryDirectory() as name:
        raw, nothing = Path(name) / "01", Path(name) / "nothing"
        raw.mkdir()
        made = took(lambda: corpora.get("studio").prepare("01", raw, **options, source=None, jobs=0))
        clips = corpora.get("studio").clips(raw, BadClips("fail"))
        track = landmarks.tracker("openface", nothing, frames=0, decoder="", **values.crop.face_align.model_dump())
        smooth = values.crop.model_dump(exclude={"landmarks", "face_align"})
        found = {}

        def box() -> None:
            for clip in clips:
                found[clip.id] = face_boxes.boxes(track(clip), **smooth, source=clip.path)

        boxed = took(box)
        sizes = {**values.extract.video.model_dump(), **values.extract.audio.model_dump()}

        def all_of(engine: Engine) -> None:
            for _ in extract.samples(clips, found, {}, BadClips("fail"), engine=engine, **sizes):
                pass

        all_of(Threads(0))
        decoded = took(lambda: all_of(Threads(0)))
    return made * cores / len(clips), boxed / len(clips), decoded * cores / len(clips)


def _trial(values: config.Params, manifest: Manifest) -> Trial:
    return Trial("held_out", manifest.folds[0], values.run.seeds[0])


def _training(
    repository: Repository, values: config.Params, manifest: Manifest
) -> tuple[float, dict[str, float], dict[str, float], dict[str, float]]:
    """Seconds of a clip: to load, by network to learn from and to look at; and the networks' gradients in megabytes."""
    folder, place = repository.folder / "data/studio/shards", torch.device("cpu")
    loads, step, look, gradient_mb = [], {}, {}, {}
    for name in NETWORKS:
        steps = 3
        clock, size = _measured(values, name, _trial(values, manifest), manifest, folder, steps)
        learned = _clips_of(manifest, values, size, steps)
        loads.append(clock.seconds.pop("load") / learned)
        step[name] = sum(clock.seconds.values()) / learned
        network, _ = _fresh(values, name, manifest)
        gradient_mb[name] = 4 * sum(value.numel() for value in network.parameters()) / 1e6
        clips = Clips(folder, ["01"], manifest.labels)
        batches, prepare = in_order(clips, size), Normalise(**values.pixels.model_dump(), device=place)
        predict(network, batches, prepare)
        look[name] = took(partial(predict, network, batches, prepare)) / len(clips) - loads[-1]
    return statistics.median(loads), step, look, gradient_mb


def _clips_of(manifest: Manifest, values: config.Params, size: int, steps: int) -> int:
    """How many clips so many steps of a small corpus have: its epochs end with short batches."""
    there = sum(manifest.clips[actor] for actor in manifest.speakers(_trial(values, manifest)).train)
    batches = [size] * (there // size) + ([there % size] if there % size > 1 else [])
    return sum(batches[number % len(batches)] for number in range(steps))


def _logged(repository: Repository) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (repository.folder / "data/logs").glob("*.json")]


def _walls(repository: Repository) -> dict[str, float]:
    """By stage, the mean wall time of its process."""
    found: dict[str, list[float]] = {}
    for entry in _logged(repository):
        found.setdefault(entry["stage"].partition("@")[0], []).append(entry["wall_s"])
    return {name: statistics.mean(times) for name, times in found.items()}


def _check(repository: Repository) -> float:
    """Seconds of a clip in ``check``: what it takes to read the arrays once."""
    folder = repository.folder / "data/studio/shards"
    clips = sum(len(shards.read(path).index) for path in folder.iterdir())
    return took(lambda: [np.load(path).sum() for path in folder.glob("*/*.npy")]) / clips


def _dvc(repository: Repository) -> tuple[float, float, float]:
    """DVC's own seconds: to begin; to begin, and of a stage, for a KB of dvc.lock.

    From one stage that is run by force, and from a run with nothing to do, with a lock as it is and one that has grown.
    """
    path = repository.folder / "dvc.lock"
    whole = path.read_text()
    head, *entries = _entries(whole)
    cells = [entry for entry in entries if entry.startswith("  train@")]
    grown = [re.sub(r"^  train@", f"  train@grown{number}-", cells[number % len(cells)]) for number in range(_GROWN)]
    points = []
    for text in (whole, "".join([head, *entries, *grown])):
        path.write_text(text)
        begins, stages = [], []
        command = ("dvc", "repro", "--single-item", "check@studio")
        for _ in range(3):
            begins.append(took(partial(repository.run, *command)))
            forced = took(partial(repository.run, *command, "--force"))
            own = json.loads((repository.folder / "data/logs/check@studio.json").read_text())["wall_s"]
            stages.append(forced - begins[-1] - own)
        points.append((len(text) / 1000, statistics.median(begins), statistics.median(stages)))
    path.write_text(whole)
    (low, begin, stage), (high, begin_grown, stage_grown) = points
    begin_kb, stage_kb = (begin_grown - begin) / (high - low), (stage_grown - stage) / (high - low)
    return begin - begin_kb * low, begin_kb, stage_kb


def _lock(repository: Repository) -> tuple[float, float, float]:
    """KB of dvc.lock: of a stage of data, of a cell, and in all."""
    _, *entries = _entries((repository.folder / "dvc.lock").read_text())
    found = []
    for names in (("download", "crop", "extract"), ("pretrain", "train")):
        of_kind = [len(entry) for entry in entries if entry.strip().partition("@")[0] in names]
        found.append(statistics.mean(of_kind) / 1000)
    return found[0], found[1], sum(map(len, entries)) / 1000


def _entries(lock: str) -> list[str]:
    """The head of a dvc.lock, and the text of each stage's entry."""
    return re.split(r"(?m)^(?=  \S)", lock)


def _keep(repository: Repository) -> float:
    """DVC's seconds to hash a GB and move it to its cache."""
    spent = []
    for megabytes in (1, int(1000 * _BIG_GB)):
        (repository.folder / "big").write_bytes(np.random.default_rng(0).bytes(megabytes * 1_000_000))
        spent.append(took(lambda: repository.run("dvc", "add", "big")))
    return max(0.0, spent[1] - spent[0]) / _BIG_GB


def _ray(clip_bytes: int) -> tuple[float, float]:
    """Seconds to join a cluster of this machine and have its first result, and to write a GB of what it makes."""
    script = [sys.executable, "-m", "benchmarks.cost.gathered", str(clip_bytes)]
    told = subprocess.run(script, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]).stdout
    join, gather_gb = (float(value) for value in told.split()[-2:])
    return join, gather_gb
