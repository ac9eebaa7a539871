from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from torch import nn

from cfnsr import cli, config
from cfnsr.cli.models import untrained_spec
from cfnsr.config import preset
from cfnsr.models import checkpoint
from cfnsr.runtime import dvc_folders, libraries

PRESETS = Path(__file__).parents[2] / "presets"


@pytest.fixture
def params(tmp_path: Path, root: Path) -> Path:
    shutil.copy(root / "dvc.yaml", tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\nno_scm = true\n")
    return Path(shutil.copy(root / "params.yaml", tmp_path))


def check(params: Path) -> Result:
    return CliRunner().invoke(cli.main, ["check", "--params", str(params)])


def save(params: Path, file: str, name: str, fold: str) -> None:
    """Write a checkpoint that says it is of this name and fold."""
    values = config.load(params)
    spec = replace(untrained_spec(values, name), fold=fold, pixels=values.pixels.model_dump())
    checkpoint.save(params.parent / "checkpoints" / f"{file}.safetensors", nn.Linear(1, 1), spec)


def test_the_shipped_params_are_counted(params: Path) -> None:
    result = check(params)
    rows = "4 rows (video, audio, averaging, cfnsr), 1 seed: 53 stages"
    assert result.output == f"{params}: 8 speakers, 4 folds, {rows}\n"


def test_results_of_other_libraries_are_noticed(params: Path) -> None:
    results = params.parent / "metrics" / "studio" / "results.csv"
    results.parent.mkdir(parents=True)
    results.write_text(f'name,libraries\nvideo,"{libraries.listed([libraries.versions()])}"\n')
    assert check(params).output.count("\n") == 1
    results.write_text(f'name,libraries\nvideo,"{libraries.listed([{**libraries.versions(), "torch": "2.0.0"}])}"\n')
    result = check(params)
    installed = libraries.versions()["torch"]
    assert result.exit_code == 0
    assert f"was made with torch 2.0.0, and torch {installed} is installed" in result.output
    for content in ("name\nvideo\n", "name,libraries\nvideo,\n"):  # of an older version; of jobs that do not say
        results.write_text(content)
        assert check(params).output.count("\n") == 1


@pytest.mark.parametrize("name", [name for name in preset.names(PRESETS) if name not in ("studio", "evaluate")])
def test_each_preset_passes(params: Path, name: str) -> None:
    preset.apply(params, PRESETS / f"{name}.yaml")
    result = check(params)
    assert result.exit_code == 0, result.output


def test_imported_checkpoints_that_fit_pass(params: Path) -> None:
    preset.apply(params, PRESETS / "evaluate.yaml")
    for name in ("video", "audio", "msaf", "cfnsr"):
        for fold in range(1, 6):
            save(params, f"{name}/fold_{fold}", name, f"fold_{fold}")
    result = check(params)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, r"run\.evaluate names video, and .*fold_1\.safetensors is missing\. Write it with"),
        (b"", r"fold_1\.safetensors: cannot be read"),
        (("audio", "fold_1"), r"is of audio, fold_1, not of video, fold_1\. Import the right file to this path"),
        (("video", "fold_2"), r"is of video, fold_2, not of video, fold_1"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    params: Path, content: bytes | tuple[str, str] | None, problem: str
) -> None:
    preset.apply(params, PRESETS / "evaluate.yaml")
    file = params.parent / "checkpoints/video/fold_1.safetensors"
    file.parent.mkdir(parents=True)
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        save(params, "video/fold_1", *content)
    result = check(params)
    assert result.exit_code == 1 and re.search(problem, result.output) and len(result.output.splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("heads: 8 ", "heads: 7 ", "systems.cfnsr.options: no network can be built with"),
        ("ratio: 4 ", "ratio: 0 ", "ZeroDivisionError"),
        ("hidden: 256 ", "hidden: 0 ", "systems.concat.options: "),
        ("dropout: 0.5 ", "dropout: 1.5 ", "no network can be built with"),
        ("depth: 1 ", "depth: 0 ", "systems.eranns.options.depth: 0 is less than one block"),
        ("block_dropout: 0.2 ", "block_dropout: 2.0 ", "systems.msaf.options.block_dropout: 2.0 is not in [0, 1)"),
        ("beta: 0.3 ", "beta: -1.0 ", "systems.multiplicative.options.beta: -1.0 is negative or not finite"),
        ("beta: 0.3 ", "beta: .nan ", "systems.multiplicative.options.beta: nan is not a finite number"),
        ("attention_layers: 5 ", "attention_layers: 1000000 ", "cfnsr: its network has more than 10,000,000,000"),
    ],
)
def test_options_without_a_network_are_refused(params: Path, old: str, new: str, problem: str) -> None:
    text = params.read_text()
    assert text.count(old) == 1
    params.write_text(text.replace(old, new))
    for command in ("check", "models"):
        result = CliRunner().invoke(cli.main, [command, "--params", str(params)])
        assert result.exit_code == 1 and problem in result.output and len(result.output.splitlines()) == 1


def test_an_incomplete_lock_is_refused(params: Path) -> None:
    (params.parent / "dvc.lock").write_text("schema: '2.0'\nstages:\n  check:\n    cmd: a\n    ou")
    result = check(params)
    assert result.exit_code == 1 and "dvc.lock: is incomplete" in result.output


def test_what_does_not_work_here_is_noted(params: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc_folders, "check", lambda root, entries: ["this clone is shallow"])
    result = check(params)
    assert result.exit_code == 0 and result.output.splitlines()[1:] == ["note: this clone is shallow"]


def test_folder_without_git_is_refused(params: Path) -> None:
    (params.parent / ".dvc/config").write_text("")
    result = check(params)
    assert result.exit_code == 1 and "is not a git repository. Run `git init" in result.output
    assert len(result.output.splitlines()) == 1
