"""Run a stage in several processes: torchrun starts them, and ends all of them when one fails."""

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
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import torch
from torch import distributed

from cfnsr.errors import CfnsrError

_STORE = "CFNSR_STORE"  # variable: the file by which the processes that `launch` starts find each other


def is_worker() -> bool:
    """Return whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def launch(processes: int, device: torch.device) -> bool:
    """Run this process's command again in several processes, and wait until they end.

    Returns:
        False if nothing was run: one process is enough, or torchrun has started this process.

    Raises:
        CfnsrError: there are fewer GPUs than processes, or a process failed.
    """
    if processes == 1 or is_worker():
        return False
    if device.type == "cuda" and torch.cuda.device_count() < processes:
        problem = f"is {processes}, torch finds {torch.cuda.device_count()} GPUs"
        raise CfnsrError("train.devices", problem, "Use a smaller number")
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # `_cause` describes the failure in one line
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # torchrun sets this too, and warns; train.threads decides
    spec = sys.modules["__main__"].__spec__
    assert spec is not None, "a stage is run by `python -m`"
    stage = os.environ.pop("DVC_STAGE", None)  # this process alone logs the stage's time
    try:
        with TemporaryDirectory(prefix="cfnsr-") as folder:
            os.environ |= _of_this_machine(Path(folder) / "store")
            options = ["--rdzv-backend=c10d", f"--rdzv-endpoint={folder}/rendezvous", "--rdzv-conf=store_type=file"]
            options += [f"--nproc-per-node={processes}", "-m", spec.name]
            torchrun.run(torchrun.parse_args([*options, *sys.argv[1:]]))
    except ChildFailedError as error:
        raise _cause(error.failures) from None
    except SignalException:
        raise KeyboardInterrupt from None
    finally:
        os.environ.update({} if stage is None else {"DVC_STAGE": stage})
    return True


def _of_this_machine(store: Path) -> dict[str, str]:
    """Return the variables with which processes of this machine connect without a port that others can reach.

    torch's TCP stores listen on all interfaces, so a file takes their place. Gloo and NCCL take the loopback interface.

    Args:
        store: the file, which does not exist yet.
    """
    loopback = next(
        name for name, addresses in psutil.net_if_addrs().items() if any(a.address == "127.0.0.1" for a in addresses)
    )
    interfaces = dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), loopback)
    return {_STORE: str(store), "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", **interfaces}


def _cause(failures: dict[int, Any]) -> CfnsrError:
    """Return the error that a process has recorded; without one, describe how a failed process ended."""
    for failure in failures.values():
        if "where" in failure.error_file_data:
            return CfnsrError(*(failure.error_file_data[key] for key in ("where", "problem", "remedy")))
    codes = {rank: failure.exitcode for rank, failure in failures.items()}  # negative where a signal ended it
    rank = min(codes, key=lambda rank: (codes[rank] == -signal.SIGTERM, codes[rank]))  # torchrun sends SIGTERM itself
    ending = signal.Signals(-codes[rank]).name if codes[rank] < 0 else f"exit status {codes[rank]}"
    return CfnsrError("train.devices", f"process {rank} ended with {ending}", "Run it again: it resumes")


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Connect the processes that torchrun has started; at the end of the context this process ends.

    Do nothing where torchrun has not started this process. The process that called ``launch`` raises a ``CfnsrError``
    again that is raised in the context.
    """
    if not is_worker():
        yield
        return
    try:
        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        _connect("nccl" if device.type == "cuda" else "gloo")
        yield
        sys.stdout.flush()
        os._exit(0)  # all files are written; gloo's threads sometimes abort a process that exits the usual way
    except CfnsrError as error:
        _record(error)
        sys.exit(1)
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        sys.exit(1)  # another process has ended; torchrun reports why


def _connect(backend: str) -> None:
    if _STORE not in os.environ:  # a user's torchrun has started the processes, on several machines
        distributed.init_process_group(backend)
        return
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    store = distributed.FileStore(os.environ[_STORE], count)  # pyright: ignore[reportPrivateImportUsage]
    distributed.init_process_group(backend, store=store, rank=rank, world_size=count)


def _record(error: CfnsrError) -> None:
    """Write an error into the file that torchrun reads, for ``_cause``."""
    parts = {"where": error.where, "problem": error.problem, "remedy": error.remedy}
    data = {"message": str(error), "timestamp": int(time.time()), **parts}
    Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(data), encoding="utf-8")
