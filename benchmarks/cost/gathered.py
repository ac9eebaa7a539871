"""What it costs to have arrays from a Ray cluster of this machine: ``python -m benchmarks.cost.gathered BYTES``.

Prints the seconds to join and to have the first result, and those to write a GB of what follows.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cfnsr.runtime.engines.on_ray import OnRay

_GB = 0.5


def work(size: int) -> np.ndarray:
    import cfnsr.preprocessing.extract  # noqa: F401  what a worker loads first

    return np.zeros(size, np.uint8)


if __name__ == "__main__":
    size = int(sys.argv[1])
    count = 8 + round(_GB * 1e9 / size)
    started = time.perf_counter()
    results = OnRay("local", 0)(work, [size] * count)
    next(results)
    joined = time.perf_counter() - started
    for _ in range(7):  # until every worker has begun
        next(results)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "arrays").open("wb") as file:
        for value in results:
            file.write(value.data)
    print(joined, (time.perf_counter() - started) / _GB)
