"""What files say is shown on the terminal as text: nothing in it is interpreted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.table import Table

from cfnsr import cli
from cfnsr.cli.stage import console, echo
from cfnsr.inference.card import Card

HOSTILE = "\x1b]0;owned\x07\x1b[2J[red]a[/red] :smile: \x9b31m\u202eb"
PARTS = ("\x1b]", "\x1b[2J", "\x07", "\x9b", "\u202e")


def printed_by(show: Callable[[], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("FORCE_COLOR", "1")
    show()
    return capsys.readouterr().out


def in_a_table() -> None:
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE, style="red")
    console().print(table)


@pytest.mark.parametrize(
    "show", [in_a_table, lambda: console().print(HOSTILE, highlight=False), lambda: echo(f"{HOSTILE}\nnext")]
)
def test_nothing_that_a_file_says_is_interpreted(
    show: Callable[[], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = printed_by(show, capsys, monkeypatch)
    assert not any(part in printed for part in PARTS)
    assert "[red]a[/red] :smile:" in printed


def test_tables_keep_their_own_colours(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[31m" in printed_by(in_a_table, capsys, monkeypatch)


def test_cards_of_others_are_plain_text(tmp_path: Path) -> None:
    folder = tmp_path / "studio/best"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").touch()
    Card(HOSTILE, row=HOSTILE, corpus=HOSTILE, labels=[HOSTILE], not_for=HOSTILE, licence=HOSTILE).write(folder)
    result = CliRunner().invoke(cli.main, ["models", "--cards", "--data", str(tmp_path)])
    assert result.exit_code == 0 and "[red]a[/red]" in result.output
    assert not any(part in result.output for part in PARTS)
