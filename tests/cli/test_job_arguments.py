from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from cfnsr.cli import timing
from cfnsr.cli.job_arguments import job_arguments
from cfnsr.cli.stage import stage
from cfnsr.data.jobs import JobPaths
from cfnsr.data.splits import Trial
from tests.support import corpus

JOB = ["cfnsr", "held_out", "fold_1", "7"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made_up")
    corpus.manifest(corpus.write(folder / "shards", clips=1)).write(folder / "manifest.json")
    return folder


@pytest.mark.parametrize(("options", "name"), [([], "cfnsr"), (["--variant", "without_audio"], "without_audio")])
def test_a_stage_gets_its_job(
    folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], name: str
) -> None:
    facts: dict[str, str] = {}
    monkeypatch.setattr(timing, "_facts", facts)
    given: dict[str, Any] = {}

    @stage
    @job_arguments
    @click.option("--variant")
    def main(params: object, **arguments: object) -> None:
        given.update(arguments)

    arguments = [*JOB, str(folder), *options, "--params", str(root / "params.yaml")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    trial = Trial("held_out", "fold_1", 7)
    assert given["name"] == "cfnsr" and given["trial"] == trial and given["corpus_folder"] == folder
    assert given["paths"] == JobPaths.of(folder, name, trial) and given["manifest"].corpus == "made_up"
    assert facts == {"protocol": "held_out", "row": name}


@pytest.mark.parametrize(("position", "value"), [(1, "imported"), (3, "-1"), (4, "no/such/folder")])
def test_a_wrong_argument_is_a_usage_error(folder: Path, position: int, value: str) -> None:
    @stage
    @job_arguments
    def main(params: object, **arguments: object) -> None:
        raise AssertionError

    arguments = [*JOB, str(folder)]
    arguments[position] = value
    result = CliRunner().invoke(main, ["--", *arguments])
    assert result.exit_code == 2 and value in result.output
