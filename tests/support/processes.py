"""Run a function in several processes that train together."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cfnsr.training.torchrun import process_group
from tests.support.networks import CPU

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext  # absent on Windows


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def forkserver() -> ForkServerContext:
    """Return what starts processes by forking one that has imported torch already, so that they start at once."""
    context = multiprocessing.get_context("forkserver")
    # Processes that train together need torch's compiler too: ``DistributedDataParallel`` imports it.
    context.set_forkserver_preload(["tests.support.training", "dvc.repo", "torch._dynamo"])
    return context


def together(count: int, function: Callable[..., Any], *arguments: Any, out: Path, joined: bool = True) -> list[Any]:
    """Call a function in each of several processes; returns what each returned, or the error that it recorded.

    Unless ``joined``, the function itself has to make them one group.

    Their environment is the one that torchrun would give them.
    """
    context, port = forkserver(), free_port()
    processes = [
        context.Process(target=_call, args=(rank, count, port, out / f"{count}-{rank}.pt", joined, function, arguments))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    paths = [out / f"{count}-{rank}.pt" for rank in range(count)]
    errors = [Path(f"{path}.error") for path in paths]
    if any(error.is_file() for error in errors):
        return [json.loads(error.read_text())["message"] for error in errors]
    assert [process.exitcode for process in processes] == [0] * count
    return [torch.load(path, weights_only=False) for path in paths]


def _call(
    rank: int, count: int, port: int, out: Path, joined: bool, function: Callable[..., Any], arguments: Any
) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "TORCHELASTIC_RUN_ID": "test"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_ERROR_FILE": f"{out}.error"}
    torch.set_num_threads(1)
    with process_group(CPU) if joined else nullcontext():
        torch.save(function(*arguments), out)
