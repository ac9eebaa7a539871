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


def total(value: float, device: torch.device) -> float:
    """Add up the values of all processes."""
    if world_size() == 1:
        return value
    tensor = torch.tensor(value, dtype=torch.float64, device=device)
    distributed.all_reduce(tensor)
    return tensor.item()


def broadcast(value: Value) -> Value:
    """Return the value of process 0 in every process."""
    values = [value]
    if world_size() > 1:
        distributed.broadcast_object_list(values)
    return values[0]


def parallel(network: nn.Module, device: torch.device) -> nn.Module:
    """Wrap a network so that its gradients are averaged over the processes."""
    if world_size() == 1:
        return network
    if device.type == "cpu":  # BatchNorm normalises by each process's share: torch cannot join these on the CPU
        return nn.parallel.DistributedDataParallel(network, static_graph=True)
    network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return nn.parallel.DistributedDataParallel(network, device_ids=[device.index], static_graph=True)


def share_buffers(network: nn.Module) -> None:
    """Give all processes the buffers of process 0, for instance the statistics of BatchNorm."""
    for buffer in network.buffers() if world_size() > 1 else ():
        distributed.broadcast(buffer, 0)


class SharedPredictor(Predictor):
    """A predictor of which each process predicts its share of the clips, and receives the predictions of all."""

    def predict(self, clips: Clips) -> LogProbabilities:
        """Return each clip's log-probabilities, in fp32."""
        count = world_size()
        if count == 1:
            return super().predict(clips)
        own = list(range(rank(), len(clips), count))
        starts = range(0, len(own), self.batch_size)
        with evaluation_mode(self.network):
            batches = (self.normalise(clips.__getitems__(own[at : at + self.batch_size])) for at in starts)
            predicted = [self.network(batch).fused.float().cpu().numpy() for batch in batches]
        gathered: list[Any] = [None] * count
        distributed.all_gather_object(gathered, predicted)
        result = np.empty((len(clips), len(clips.labels)), np.float32)
        for other, parts in enumerate(gathered):
            if parts:
                result[other::count] = np.concatenate(parts)
        return result
