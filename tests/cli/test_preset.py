from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cfnsr import cli, config
from cfnsr.config import preset

PRESETS = Path(__file__).parents[2] / "presets"


@pytest.fixture
def params(tmp_path: Path, root: Path) -> Path:
    return Path(shutil.copy(root / "params.yaml", tmp_path))


def run(params: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["preset", *arguments, "--params", str(params), "--presets", str(PRESETS)])


def test_presets_are_listed_with_their_purpose(params: Path) -> None:
    lines = run(params).output.splitlines()
    purposes = dict(line.split(maxsplit=1) for line in lines)
    assert list(purposes) == preset.names(PRESETS) and len(set(purposes.values())) == len(purposes)
    assert purposes["studio"] == "What ships" and purposes["tiny"].startswith("The whole pipeline at the smallest size")
    assert all(10 <= len(line) < 110 for line in lines)


def test_changes_are_printed_key_by_key(params: Path) -> None:
    assert run(params, "test_selected").output == "run.protocols: [held_out] -> [held_out, test_selected]\n"
    assert run(params, "test_selected").output == "nothing to change\n"


def test_a_licence_is_printed_and_accepted(params: Path) -> None:
    result = run(params, "ravdess", "--accept-licence")
    assert (
        "Creative Commons BY-NC-SA 4.0" in result.output
        and "corpora.ravdess.licence_accepted: False -> True" in result.output
    )
    assert config.load(params).corpora.ravdess.licence_accepted


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["tiny", "--accept-licence"], "studio has no licence to accept"),
        (["--accept-licence"], "needs the NAME of a preset"),
        (["huge", "--accept-licence"], "there is no such preset"),
        (["base"], "there is no such preset"),
    ],
)
def test_a_faulty_call_changes_nothing(params: Path, arguments: list[str], problem: str) -> None:
    before = params.read_bytes()
    result = run(params, *arguments)
    assert result.exit_code and problem in result.output and params.read_bytes() == before
