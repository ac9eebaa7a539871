"""Work on items on a Ray cluster, and print results as they come.

Run ``python -m tests.support.ray_work ADDRESS FOLDER ITEMS``, a separate process as in ``tests.support.cluster``. An
item leaves a file in FOLDER when it begins. Each line on stdin asks for the next result.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple

from cfnsr.runtime import parallel


class Item(NamedTuple):
    number: int
    folder: Path


def work(item: Item) -> str:
    import ray

    (item.folder / f"{item.number} {time.time_ns()}").touch()
    time.sleep(0.2)  # long enough for both nodes to get items
    return f"{item.number} {ray.get_runtime_context().get_node_id()}"


if __name__ == "__main__":
    address, folder, count = sys.argv[1:]
    items = [Item(number, Path(folder)) for number in range(int(count))]
    for result in parallel.run(work, items, jobs=0, backend="ray", address=address):
        print("done", result, len([*Path(folder).iterdir()]), flush=True)
        sys.stdin.readline()
