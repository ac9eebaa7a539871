"""Object storage: a real S3 interface on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.support.repository import Repository

_KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
_REGION = "us-east-1"


@contextmanager
def served() -> Iterator[ThreadedMotoServer]:
    """A server on a free port of the loopback interface."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def endpoint(server: ThreadedMotoServer) -> str:
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


def client(server: ThreadedMotoServer):
    return boto3.client("s3", endpoint_url=endpoint(server), region_name=_REGION, **_KEYS)


def link(repository: Repository, server: ThreadedMotoServer, url: str) -> None:
    """Make a bucket's folder the remote of a repository, and commit that, so that a clone knows it."""
    repository.dvc("remote", "add", "--default", "store", url)
    repository.dvc("remote", "modify", "store", "endpointurl", endpoint(server))
    repository.commit("a remote")


def bucket(server: ThreadedMotoServer, name: str, patch: pytest.MonkeyPatch) -> None:
    """Make a bucket, and put the keys where Amazon's tools look for them."""
    for key, value in {**_KEYS, "aws_default_region": _REGION}.items():
        patch.setenv(key.upper(), value)
    client(server).create_bucket(Bucket=name)
