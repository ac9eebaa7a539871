"""Several processes under Lightning Fabric: it starts and places them, and torch adds up their gradients."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from cfnsr.errors import CfnsrError

try:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy
except ModuleNotFoundError as error:
    raise CfnsrError("train.devices", "Fabric is not installed", "Run `pip install 'cfnsr[fabric]'`") from error

Value = TypeVar("Value")

# The others wait while the leader judges an epoch, on a large corpus for hours; whose process is lost is told at once.
_PATIENCE = timedelta(days=7)


class OnFabric:
    """A process of several, each with the whole network; ``cfnsr.training.team.Team`` says what each method does.

    Args:
        accelerator: ``cpu``, where processes talk by gloo, or ``cuda``, by NCCL. Not measured on GPU.
        devices: processes of each machine.
        nodes: machines.

    Attributes:
        device: this process's.

    Raises:
        CfnsrError: there are not as many devices, or not all processes come.
    """

    def __init__(self, accelerator: str, devices: int, nodes: int) -> None:
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        if accelerator == "cuda" and torch.cuda.device_count() < devices:
            raise CfnsrError("train.devices", f"is {devices}, torch finds {torch.cuda.device_count()}", "Lower it")
        with _told():
            strategy = DDPStrategy(timeout=_PATIENCE, static_graph=True)
            self._fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, strategy=strategy)
            self._fabric.launch()
        self.rank, self.count, self.device = self._fabric.global_rank, self._fabric.world_size, self._fabric.device

    def spread(self, network: nn.Module) -> Callable[..., Any]:
        if self.device.type == "cuda":  # torch has none for the CPU: there each process normalises by its share
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        with _told():
            spread = self._fabric.setup_module(network)

        def forward(*inputs: Any) -> Any:
            with _told():  # what normalises is brought into line here
                return spread(*inputs)

        return forward

    def backward(self, loss: Tensor) -> None:
        with _told():
            self._fabric.backward(loss)

    def said(self, value: Value) -> Value:
        with _told():
            return self._fabric.broadcast(value)

    def from_all(self, value: Value) -> list[Value]:
        values: list[Any] = [None] * self.count
        with _told():
            distributed.all_gather_object(values, value)
        return values


@contextmanager
def _told() -> Iterator[None]:
    """A user's words for what the libraries below say when processes lose each other."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        why = re.sub(r"^\[\S+\] ", "", str(error)).partition(". ")[0]  # not in which line of which library
        raise CfnsrError("train.devices", f"another process is gone ({why})", "What it said stands above") from error
