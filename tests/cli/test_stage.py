"""A stage whose params or code are edited while it runs writes nothing; and what it does at its start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os
from importlib import import_module
from pathlib import Path

import click

from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.runtime.outputs import atomic_file, atomic_folder


@stage
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--folder", is_flag=True)
@click.option("--edit", type=(str, str, str), help="File, old text and new text.")
@click.option("--late", is_flag=True, help="Edit once the output is written.")
@click.option("--module", default="cfnsr.errors", help="Imported after the edit.")
def main(params: Params, out: Path, folder: bool, edit: tuple[str, str, str], late: bool, module: str) -> None:
    margin = params.crop.margin
    with (atomic_folder if folder else atomic_file)(out) as partial:
        (partial / "margin" if folder else partial).write_text(str(margin))
        if not late:
            apply(*edit)
            import_module(module)
    if late:
        apply(*edit)


def apply(name: str, old: str, new: str) -> None:
    path = Path(name)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


if __name__ == "__main__":
    main()
"""
MARGIN = ("params.yaml", "  margin: 0.35", "  margin: 0.70")


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    """A copy of the code, with a script in place of a stage."""
    for package in ("cfnsr", "stages"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "stages/crop.py").write_text(SCRIPT)
    shutil.copy(root / "params.yaml", tmp_path)
    (tmp_path / "out").write_text("of an earlier run")
    return tmp_path


def run(folder: Path, edit: tuple[str, str, str], *options: str) -> str:
    """Run the stage; return what it writes on stderr."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in {"DVC_STAGE", "PYTHONDONTWRITEBYTECODE"}
    }
    environment = {**inherited, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "stages.crop", "out", "--edit", *edit, *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True).stderr


@pytest.mark.parametrize(
    ("edit", "options", "problem"),
    [
        (MARGIN, [], "params.yaml: crop.margin has changed since this stage read it"),
        (MARGIN, ["--folder"], "params.yaml: crop.margin has changed since this stage read it"),
        (("stages/crop.py", "margin =", "margin = 2 *"), [], "stages/crop.py: was edited while this stage ran"),
        (
            ("cfnsr/data/splits.py", "% len(names)", "% len(folds)"),
            ["--module", "cfnsr.data.splits"],
            "cfnsr/data/splits.py: was edited while this stage ran",
        ),
        (
            ("cfnsr/corpora/ravdess/prepare/files.tsv", "\n", "\n\n"),
            ["--module", "cfnsr.corpora.ravdess.prepare"],
            "cfnsr/corpora/ravdess/prepare/files.tsv: was edited while this stage ran",
        ),
    ],
    ids=["params", "params-folder", "script", "imported-late", "table"],
)
def test_an_edit_meanwhile_keeps_the_earlier_output(
    folder: Path, edit: tuple[str, str, str], options: list[str], problem: str
) -> None:
    error = run(folder, edit, *options)
    assert error.startswith("Error: ") and error.endswith(f"{problem}. Run the same command again\n")
    assert error.count("\n") == 1
    assert (folder / "out").read_text() == "of an earlier run"
    assert not list(folder.glob(".partial-*"))


def test_an_edit_before_the_end_is_an_error(folder: Path) -> None:
    """DVC reads what it records after the end."""
    assert "crop.margin has changed" in run(folder, MARGIN, "--late")


@pytest.mark.parametrize(
    "edit",
    [
        ("params.yaml", "  margin: 0.35", "  margin: 0.350"),
        ("params.yaml", "ci_level: 0.95", "ci_level: 0.9"),
        ("cfnsr/report/page/charts.py", "alt.", "altair."),
        ("stages/crop.py", "margin", "margin"),
    ],
    ids=["same-value", "other-param", "other-code", "saved-again"],
)
def test_an_edit_of_no_consequence_is_none(folder: Path, edit: tuple[str, str, str]) -> None:
    assert run(folder, edit) == "" and (folder / "out").read_text() == "0.35"


def test_code_edited_twice_in_a_second_is_compiled_again(folder: Path) -> None:
    path = folder / "cfnsr/data/splits.py"
    os.utime(path, ns=(10**18, 10**18))
    run(folder, ("params.yaml", "a", "a"), "--module", "cfnsr.data.splits")
    copy = next((folder / "cfnsr/data/__pycache__").glob("splits.*.pyc"))
    path.write_text(path.read_text().replace('"held_out", ', "1 / 0,      "))
    os.utime(copy, ns=(10**18 + 1, 10**18 + 1))
    os.utime(path, ns=(10**18 + 2, 10**18 + 2))
    assert "ZeroDivisionError" in run(folder, ("params.yaml", "a", "a"), "--module", "cfnsr.data.splits")


def test_garbage_is_collected_after_the_imports(root: Path) -> None:
    code = "import gc, sys, stages; assert not gc.isenabled(); import stages.params; sys.exit(not gc.isenabled())"
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
