"""Nothing that this project runs reports to anyone, or opens a connection, unless asked to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo
from pytest_socket import SocketConnectBlockedError

from cfnsr.runtime.parallel import import_ray


def test_dvc_sends_no_analytics_and_checks_no_updates(root: Path) -> None:
    with Repo(str(root)) as repo:
        assert repo.config["core"]["analytics"] is False
        assert repo.config["core"]["check_update"] is False


def test_ray_sends_no_usage_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    from ray._common.usage import usage_lib

    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    import_ray()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert not usage_lib.usage_stats_enabled()


@pytest.mark.filterwarnings("ignore:A test tried to use socket:UserWarning")
def test_tests_reach_no_other_host() -> None:
    with pytest.raises(SocketConnectBlockedError), socket.socket() as connection:
        connection.connect(("192.0.2.1", 80))  # an address for documentation


AUDIT = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise SystemExit(f"{event} {arguments}")
sys.addaudithook(refuse)
from click.testing import CliRunner
from cfnsr import cli
for command in (["--help"], ["preset"], ["check"], ["models"], ["launch", "--help"]):
    result = CliRunner().invoke(cli.main, command)
    if "socket." in str(result.exception) or result.exit_code:
        sys.exit(f"{command}: {result.output} {result.exception}")
"""


def test_commands_open_no_connection(root: Path) -> None:
    done = subprocess.run([sys.executable, "-c", AUDIT], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
