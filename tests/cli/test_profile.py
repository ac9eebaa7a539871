from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from cfnsr import cli
from cfnsr.cli.profile import PHASES
from tests.support import corpus
from tests.support.training import write_params


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``data`` folder of a tiny corpus that stands for studio, and its params.yaml."""
    folder = tmp_path_factory.mktemp("workspace")
    corpus.write(folder / "data/studio/shards")
    corpus.manifest(folder / "data/studio/shards").write(folder / "data/studio/manifest.json")
    write_params(folder / "params.yaml", **{"train.freeze_encoders": True})
    return folder


def run(folder: Path, *arguments: str, status: int = 0) -> str:
    data = [] if "--data" in arguments else ["--data", str(folder / "data")]
    result = CliRunner().invoke(cli.main, ["profile", *arguments, "--params", str(folder / "params.yaml"), *data])
    assert result.exit_code == status, result.output
    return result.output


@pytest.mark.parametrize("name", ["cfnsr", "audio", "cfnsr_no_cross_modal"])
def test_each_phase_of_a_step_is_printed(folder: Path, name: str) -> None:
    before = sorted(folder.rglob("*"))
    printed = run(folder, name, "--steps", "6")
    times = {phase: float(ms) for phase, ms in re.findall(r"│ (\w+) +│ +([\d.]+) │ +\d+% │", printed)}
    assert list(times) == [*PHASES, "all"] and all(times.values())
    assert times["all"] == pytest.approx(sum(times[phase] for phase in PHASES), abs=0.5)
    assert re.search(r"Loading and augmenting take \d+% of a step: the (data|network) limit", printed)
    assert sorted(folder.rglob("*")) == before  # nothing is written


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("averaging",), "averaging: trains nothing. Choose a row that is trained"),
        (("ghost",), "systems: no section 'ghost'"),
        (("cfnsr", "--fold", "fold_9"), "no fold 'fold_9'; there are fold_1, fold_2"),
        (("cfnsr", "--data", "docs"), "manifest.json: "),
    ],
)
def test_what_cannot_be_profiled_is_told(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    printed = run(folder, *arguments, status=1)
    assert message in printed and len(printed.strip().splitlines()) == 1
