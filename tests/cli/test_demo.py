from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from cfnsr.cli import main
from cfnsr.inference.card import NOT_FOR

START = [sys.executable, "-c", "from cfnsr.cli import main; main()", "demo", "--port", "0"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT for other processes, and SIGTERM kills them")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_after_the_end(ending: signal.Signals, root: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(root)}
    with subprocess.Popen(START, stdout=subprocess.PIPE, text=True, cwd=root / "docs", env=environment) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        assert address.startswith("http://127.0.0.1:")
        parts = urlsplit(address)
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
            origin = f"http://{parts.netloc}"
            connection.sendall(
                f"POST /predict?model=0 HTTP/1.1\r\nHost: {parts.netloc}\r\nOrigin: {origin}\r\n"
                "Content-Length: 99\r\n\r\nhalf of it".encode()
            )
            until = time.monotonic() + 20
            while not [*tmp_path.glob("cfnsr-demo-*/*/recording")]:
                assert time.monotonic() < until
                time.sleep(0.02)
            process.send_signal(ending)
            assert process.wait(timeout=20) == 0
    assert not [*tmp_path.glob("cfnsr-demo-*")]


def test_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(main, ["demo", "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1 and result.stderr.startswith("Error: --port: ")
    assert result.stderr.count("\n") == 1 and "Address already in use" in result.stderr


def test_unknown_model_is_one_line() -> None:
    result = CliRunner().invoke(main, ["demo", "--model", "nothing"])
    assert result.exit_code == 1 and "there is no such model" in result.stderr and "Traceback" not in result.output


def test_help_says_what_it_is_not_for() -> None:
    result = CliRunner().invoke(main, ["demo", "--help"])
    assert (
        NOT_FOR.split(":")[0] in result.output
        and "cfnsr demo --open" in result.output
        and "--host" not in result.output
    )
