"""Run a function in several processes that train together."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cfnsr.training.distributed import process_group

CPU = torch.device("cpu")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def together(count: int, function: Callable[..., Any], *arguments: Any, out: Path) -> list[Any]:
    """Call a function in each of several processes of one group; returns what each returned.

    The processes are forked from one that has imported torch already, so that they start at once. Their environment is
    the one that torchrun would give them.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.training", "dvc.repo"])
    port = free_port()
    processes = [
        context.Process(target=_call, args=(rank, count, port, out / f"{count}-{rank}.pt", function, arguments))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * count
    return [torch.load(out / f"{count}-{rank}.pt", weights_only=False) for rank in range(count)]


def _call(rank: int, count: int, port: int, out: Path, function: Callable[..., Any], arguments: Any) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "TORCHELASTIC_RUN_ID": "test"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_ERROR_FILE": f"{out}.error"}
    torch.set_num_threads(1)
    with process_group(CPU):
        torch.save(function(*arguments), out)
