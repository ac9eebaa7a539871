"""The command as a whole: its help, and errors in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cfnsr import cli


def command(name: str) -> click.Command:
    subcommand = cli.main.get_command(click.Context(cli.main), name)
    assert subcommand is not None
    return subcommand


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_explains_itself_with_an_example(name: str) -> None:
    text = CliRunner().invoke(cli.main, [name, "--help"]).output
    _, summary = cli.COMMANDS[name]
    assert (command(name).help or "").split("\n\n")[0].replace("\n", " ").startswith(summary.rstrip("."))
    assert "Example" in text and f"  cfnsr {name}" in text


def test_listing_the_commands_imports_no_torch(root: Path) -> None:
    script = "import sys; from click.testing import CliRunner; from cfnsr import cli; " \
             "print(CliRunner().invoke(cli.main, ['--help']).output); assert 'torch' not in sys.modules"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0 and all(name in done.stdout for name in cli.COMMANDS), done.stderr


def test_an_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(cli.main, ["chek"])
    assert result.exit_code == 2 and "No such command 'chek'" in result.output


@pytest.mark.parametrize(
    "arguments",
    ["check", "results", "report", "preset", "preset tiny", "sheet 01 out.png", "models", "profile cfnsr", "launch"],
)
def test_outside_the_root_the_remedy_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli.main, arguments.split())
    assert result.exit_code == 1 and "Run from the repository's root" in result.output
    assert len(result.output.splitlines()) == 1
