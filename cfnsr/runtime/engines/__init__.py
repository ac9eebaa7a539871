"""What many clips are worked on by, side by side: threads here, or a cluster's cores. It changes no byte."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Protocol, TypeVar, runtime_checkable

Item = TypeVar("Item")
Result = TypeVar("Result")


@runtime_checkable
class Engine(Protocol):
    """Work on items, results in the items' order.

    Only a few results more than are asked for exist at a time. Closing the generator ends the work.
    ``work`` and the items may travel to another machine: a function of a module, and what pickle takes.
    """

    def __call__(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result]: ...


def get(name: str, *, jobs: int, address: str) -> Engine:
    """An engine by its name in params.yaml.

    Args:
        name: ``threads`` or ``ray``.
        jobs: items at a time; 0 takes every core.
        address: of the Ray cluster.

    Raises:
        CfnsrError: Ray is not installed, or there is no cluster at that address.
    """
    if name == "ray":
        from cfnsr.runtime.engines.on_ray import OnRay  # an extra

        return OnRay(address, jobs)
    from cfnsr.runtime.engines.threads import Threads

    return Threads(jobs)
