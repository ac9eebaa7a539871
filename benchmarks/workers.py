"""Measure how extraction and frozen features grow with the workers of a Ray cluster, all on this machine.

Alternately on one core without Ray and on clusters of 1, 2 and 4 workers: seconds of wall clock, and the share of the
cores' time that is not the work itself. More workers than cores show what waiting costs. Example: python
benchmarks/workers.py
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch

from cfnsr.corpora.clip import Clip
from cfnsr.features import extractors
from cfnsr.runtime import parallel

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.extract import extract_clip, generate
from tests.support.media import tone

os.environ["PYTHONPATH"] = sys.path[0]  # of the workers
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
WORKERS = (1, 2, 4)
CLIPS, CHUNK = 96, 12
ENCODER = "whisper_tiny"


def extract_path(path: Path) -> None:
    torch.set_num_threads(1)
    extract_clip(path)


def features_of(paths: Sequence[Path]) -> int:
    """Compute the features of a few recordings: the encoder is loaded for each call, as for each speaker."""
    torch.set_num_threads(1)
    extractor = extractors.load(ENCODER, {"max_s": 30.0}, ENCODER)
    clips = [Clip(path.stem, path, "01", "calm") for path in paths]
    results = [result for _, result in extractor.features(clips, {})]
    assert not [result for result in results if isinstance(result, Exception)]
    return len(results)


def on_cluster(work: Callable[[Any], object], items: Sequence[Any], workers: int) -> float:
    """Measure the seconds of the work on a cluster."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": workers, "include_dashboard": False})
    run = partial(parallel.run, work, jobs=0, backend="ray", address=cluster.address)
    try:
        # Workers start anew with each stage's connection: their start is part of the time.
        started = time.perf_counter()
        list(run(items))
        return time.perf_counter() - started
    finally:
        cluster.shutdown()


def measure() -> dict[str, dict[int, float]]:
    """Return the seconds of each kind of work by the number of workers; 0: one core without Ray."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = generate(folder / "0.mp4", 3, 0)
        videos = [Path(shutil.copyfile(first, folder / f"{number}-.mp4")) for number in range(CLIPS)]
        sounds = [tone(folder / f"{number}.wav", pitch_hz=100 + 10 * number, length_s=3.7) for number in range(CLIPS)]
        chunks = [sounds[start : start + CHUNK] for start in range(0, CLIPS, CHUNK)]
        kinds: dict[str, tuple[Callable[[Any], object], Sequence[Any]]] = {
            "extraction": (extract_path, videos),
            f"features ({ENCODER})": (features_of, chunks),
        }
        seconds: dict[str, dict[int, float]] = {}
        for kind, (work, items) in kinds.items():
            work(items[0])  # imports and the filter bank
            started = time.perf_counter()
            for item in items:
                work(item)
            seconds[kind] = {0: time.perf_counter() - started}
            seconds[kind] |= {workers: on_cluster(work, items, workers) for workers in WORKERS}
    return seconds


@click.command(help=__doc__)
def main() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for kind, seconds in measure().items():
        click.echo(f"{kind}, {CLIPS} clips: {seconds[0]:.1f} s on one core without Ray")
        for workers in WORKERS:
            overhead = 1 - seconds[0] / (seconds[workers] * min(workers, cores))
            click.echo(
                f"  {workers} workers: {seconds[workers]:.1f} s, {CLIPS / seconds[workers]:.1f} clips a second, "
                f"{overhead:.0%} overhead"
            )


if __name__ == "__main__":
    main()
