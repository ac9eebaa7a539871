"""The processes that train one network together, each on a share of every batch."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from cfnsr.evaluation import device
from cfnsr.runtime import lifeline

Value = TypeVar("Value")


@runtime_checkable
class Team(Protocol):
    """As one of its processes sees it. What is asked of one is asked of all, in the same order.

    Attributes:
        rank: which process this is; 0 leads: it alone judges, chooses and writes.
        count: how many there are.
    """

    rank: int
    count: int

    def spread(self, network: nn.Module) -> Callable[..., Any]:
        """The network as it is to be called in training: after ``backward`` every process has the mean gradient."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Add the mean over all processes of the loss's gradient to the weights'."""
        ...

    def said(self, value: Value) -> Value:
        """The leader's value, in every process; a follower's own does not count."""
        ...

    def from_all(self, value: Value) -> list[Value]:
        """Each process's value, in the order of their ranks."""
        ...


class Alone:
    """One process, as ever."""

    rank, count = 0, 1

    def spread(self, network: nn.Module) -> Callable[..., Any]:
        return network

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def said(self, value: Value) -> Value:
        return value

    def from_all(self, value: Value) -> list[Value]:
        return [value]


ALONE = Alone()


def gathered(name: str, *, devices: int, nodes: int) -> tuple[Team, torch.device]:
    """Start what is to train together on this machine, and wait for what other machines have started.

    Each process runs the same command. On one machine the first starts the others; on several, someone or something
    (Slurm, for instance) starts it on each, and says which is which: see docs/scaling.md.

    Args:
        name: ``auto``, ``cpu`` or ``cuda``.
        devices: processes of each machine, each with a GPU of its own where those are used.
        nodes: machines.

    Returns:
        The team, and this process's device.

    Raises:
        CfnsrError: Fabric is not installed, or there are not as many devices.
    """
    if devices * nodes == 1:
        return ALONE, device.pick(name)
    if os.environ.get("LOCAL_RANK", "0") != "0":  # started by the first process of this machine
        lifeline.die_with_parent()
    from cfnsr.training.team.on_fabric import OnFabric  # an extra, and slow to import

    team = OnFabric(device.pick(name).type, devices, nodes)
    if team.rank:
        os.environ.pop("DVC_STAGE", None)  # the leader notes the time of all
    return team, team.device


def same(team: Team, what: Any) -> bool:
    """Whether every process has the same value."""
    return len({str(one) for one in team.from_all(what)}) == 1
