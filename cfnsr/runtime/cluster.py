"""The way into a Ray cluster that shares the workspace: one path on every node, and the same environment."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

from cfnsr.errors import CfnsrError

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

try:
    import ray as ray
    from ray.exceptions import RayError as RayError
except ModuleNotFoundError as error:
    raise CfnsrError("Ray", "is not installed", "Run `pip install 'cfnsr[ray]'`") from error

_REACH_S = 5


def join(address: str, asked_by: str) -> Mapping[str, float]:
    """Become the driver of a cluster, until ``ray.shutdown()``.

    Args:
        address: ``HOST:PORT``; ``auto`` is the cluster that this machine belongs to; ``local`` starts one here.
        asked_by: the option or key that an error is to name.

    Returns:
        What the cluster has: ``CPU``, ``GPU`` and more, by name.

    Raises:
        CfnsrError: there is no cluster at that address.
    """
    try:
        _reached(address)
        ray.init(
            address=None if address == "local" else address,
            include_dashboard=False if address == "local" else None,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except (OSError, RayError, ValueError) as error:
        raise CfnsrError(asked_by, f"no cluster at {address} ({error})", "Start one with `ray start`") from error
    return ray.cluster_resources()


def _reached(address: str) -> None:
    """Fail at once where nobody answers: Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and "://" not in address:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S).close()
