"""The addresses at which a process and those that it has started accept connections."""

from __future__ import annotations

import psutil


def addresses(pid: int) -> set[str]:
    """Return the addresses, in their shortest form: ``0.0.0.0`` and ``::`` are all interfaces."""
    process = psutil.Process(pid)
    connections = [
        connection
        for member in (process, *process.children(recursive=True))
        for connection in member.net_connections("inet")
    ]
    listening = {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}
    return {address.removeprefix("::ffff:") for address in listening}  # IPv4 at a socket of IPv6
