"""Share each batch among several processes; a single process keeps it. GPU: not measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import torch
from torch import distributed, nn

from cfnsr.data.dataset import Clips, in_order
from cfnsr.evaluation.predict import LogProbabilities, Predictor
from cfnsr.models.types import Batch

Value = TypeVar("Value")


def rank() -> int:
    """Return the rank of this process; process 0 writes the files."""
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
    return nn.parallel.DistributedDataParallel(network, static_graph=True)


def share_buffers(network: nn.Module) -> None:
    """Give every process the buffers of process 0: the statistics of batch normalisation."""
    for buffer in network.buffers() if world_size() > 1 else ():
        distributed.broadcast(buffer, 0)


class SharedPredictor(Predictor):
    """A predictor that shares clips out among the processes; each returns the predictions of all."""

    def batches(self, clips: Clips) -> Iterator[Batch]:
        """Yield the normalised batches of this process's share."""
        return map(self.normalise, in_order(clips, self.batch_size, rank=rank(), world_size=world_size()))

    def predict(self, clips: Clips) -> LogProbabilities:
        """Return each clip's log-probabilities, in fp32."""
        predicted = np.empty((len(clips), len(clips.labels)), np.float32)
        for start, share in enumerate(all_gather(super().predict(clips))):
            predicted[start :: world_size()] = share
        return predicted
