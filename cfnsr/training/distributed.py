"""Train in several processes that share each batch: gloo on the CPU, NCCL on GPUs (not measured on GPU).

In a single process these functions return what they are given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from cfnsr.errors import CfnsrError
from cfnsr.training import torchrun

Value = TypeVar("Value")


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Connect this process with the others that torchrun started; at the end of the context the process ends.

    Without torchrun, do nothing. A ``CfnsrError`` is handed over to the process that called ``torchrun.launch``.
    """
    if not torchrun.is_worker():
        yield
        return
    try:
        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        yield
        sys.stdout.flush()
        os._exit(0)  # all files are written; gloo's threads sometimes abort a process that exits the usual way
    except CfnsrError as error:
        torchrun.record(error)
        sys.exit(1)
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        sys.exit(1)  # another process is gone; torchrun knows why


def rank() -> int:
    """Return the number of this process; process 0 writes the files."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def all_gather(value: Value) -> list[Value]:
    """Return every process's value, in the order of ranks."""
    values = [value] * world_size()
    if len(values) > 1:
        distributed.all_gather_object(values, value)
    return values


def broadcast(value: Value) -> Value:
    """Return process 0's value."""
    values = [value]
    if world_size() > 1:
        distributed.broadcast_object_list(values)
    return values[0]


def total(value: float, device: torch.device) -> float:
    """Return the sum of every process's value."""
    tensor = torch.tensor(value, dtype=torch.float64, device=device)
    if world_size() > 1:
        distributed.all_reduce(tensor)
    return tensor.item()


def parallel(network: nn.Module, device: torch.device) -> nn.Module:
    """Wrap a network so that each backward pass averages the gradients of all processes."""
    if world_size() == 1:
        return network
    if device.type == "cuda":  # torch has no such layer for the CPU: there each process normalises by its own clips
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return DistributedDataParallel(network, static_graph=True)


def share_buffers(network: nn.Module) -> None:
    """Give every process the buffers of process 0: the statistics of batch normalisation."""
    for buffer in network.buffers() if world_size() > 1 else ():
        distributed.broadcast(buffer, 0)
