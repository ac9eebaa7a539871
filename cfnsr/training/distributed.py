"""Train one network in several processes: torchrun starts them, DistributedDataParallel averages their gradients.

gloo on the CPU, NCCL on GPUs (not measured on GPU). In a single process every function here does nothing.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from cfnsr.errors import CfnsrError

Value = TypeVar("Value")


def launch(processes: int, device: torch.device) -> bool:
    """Run this command again in several processes under torchrun, and wait for them.

    Returns:
        Whether this was done: false in a single process, and in each process that torchrun has started.

    Raises:
        CfnsrError: there are fewer GPUs than processes, or a process failed; the others are ended.
    """
    if processes == 1 or "TORCHELASTIC_RUN_ID" in os.environ:
        return False
    if device.type == "cuda" and torch.cuda.device_count() < processes:
        raise CfnsrError("train.devices", f"is {processes}, torch finds {torch.cuda.device_count()} GPUs", "Lower it")
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # the error below says it in one line
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # else torchrun sets it and warns; train.threads decides
    stage = os.environ.pop("DVC_STAGE", None)  # this process logs the time of all
    module = sys.modules["__main__"].__spec__
    arguments = ["--standalone", f"--nproc-per-node={processes}", "-m", module.name if module else "", *sys.argv[1:]]
    try:
        torchrun.run(torchrun.parse_args(arguments))
    except ChildFailedError as error:
        raise _first_error(error.failures) from None
    except SignalException:
        raise KeyboardInterrupt from None
    if stage is not None:
        os.environ["DVC_STAGE"] = stage
    return True


def _first_error(failures: dict[int, Any]) -> CfnsrError:
    """Find the cause among the failed processes: an error that one recorded, else the first that ended."""
    recorded = [data for failure in failures.values() if "where" in (data := failure.error_file_data)]
    if recorded:
        return CfnsrError(recorded[0]["where"], recorded[0]["problem"], recorded[0]["remedy"])
    rank, code = min(((rank, failure.exitcode) for rank, failure in failures.items()), key=lambda pair: pair[1])
    how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
    return CfnsrError("train.devices", f"process {rank} ended with {how}", "See what it printed above, and run it again")


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Within it, the processes that torchrun started can exchange values; errors go to the one that started them."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    try:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        yield
        distributed.destroy_process_group()
    except CfnsrError as error:
        parts = {"where": str(error.where), "problem": error.problem, "remedy": error.remedy}
        data = {"message": str(error), "timestamp": int(time.time()), **parts}
        Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(data), encoding="utf-8")
        sys.exit(1)
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        sys.exit(1)  # another process is gone: torchrun says which


def rank() -> int:
    """Return the number of this process; 0 writes the files."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def all_gather(value: Value) -> list[Value]:
    """Collect each process's value, in the order of their ranks."""
    values: list[Any] = [value] * world_size()
    if world_size() > 1:
        distributed.all_gather_object(values, value)
    return values


def broadcast(value: Value) -> Value:
    """Return the value of process 0 in every process."""
    values = [value]
    if world_size() > 1:
        distributed.broadcast_object_list(values)
    return values[0]
