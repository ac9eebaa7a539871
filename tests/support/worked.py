"""Items on a Ray cluster: ``python -m tests.support.worked ADDRESS FOLDER ITEMS``, a line for each result, as it comes.

In a process of its own, as in ``tests/cluster.py``. An item takes a third of a second, and leaves a file in FOLDER.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple

import ray

from cfnsr.runtime.engines.on_ray import OnRay


class Item(NamedTuple):
    number: int
    folder: Path


def work(item: Item) -> str:
    (item.folder / f"{item.number} {time.time_ns()}").touch()
    time.sleep(0.3)
    return f"{item.number} {ray.get_runtime_context().get_node_id()}"


if __name__ == "__main__":
    address, folder, count = sys.argv[1:]
    for done in OnRay(address, 0)(work, [Item(number, Path(folder)) for number in range(int(count))]):
        print("done", done, len([*Path(folder).iterdir()]), flush=True)
        sys.stdin.readline()
