"""What the README tells people to type works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.repository import ROOT, Repository

README = (ROOT / "README.md").read_text()
RAVDESS = "cfnsr preset ravdess --accept-licence"
BLOCKS = [
    [line.partition(" #")[0].strip() for line in block.strip().splitlines()]
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    if not language
]
COMMANDS = [
    command for block in BLOCKS if RAVDESS not in block for line in block for command in line.split(" && ") if command
]
# These need another machine's address, or are what runs these tests.
ELSEWHERE = ("git clone", "cd ", "source ", "make test")

pytestmark = pytest.mark.xdist_group("readme")


@pytest.fixture(scope="module")
def repository(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """With this environment as its own, so that `make` finds it set up."""
    there = finished.copy(tmp_path_factory.mktemp("readme") / "there")
    (there.folder / ".venv").mkdir()
    for path in (ROOT / ".venv").iterdir():
        if path.name != ".installed":
            (there.folder / ".venv" / path.name).symlink_to(path)
    (there.folder / ".venv" / ".installed").touch()  # newer than all it depends on: nothing is installed
    return there


def test_the_readme_shows_commands() -> None:
    assert "make repro" in COMMANDS and "dvc repro" in COMMANDS and len(COMMANDS) >= 12


@pytest.mark.parametrize("command", [one for one in COMMANDS if not one.startswith(ELSEWHERE)])
def test_it_runs(repository: Repository, command: str) -> None:
    """In the README's order, one after another, as a reader would."""
    printed = repository.run(*shlex.split(command))
    assert "Traceback" not in printed
    if command == "make repro":
        assert "pip install" not in printed
        assert "cfnsr" in printed and "Where the time went" in printed


def test_what_fetches_ravdess_is_ready_to_run(repository: Repository) -> None:
    """All but the fetching: that takes hours and the network."""
    (block,) = [block for block in BLOCKS if RAVDESS in block]
    assert block == [RAVDESS, "dvc repro", "cfnsr results"]
    before = (repository.folder / "params.yaml").read_text()
    try:
        assert "BY-NC-SA 4.0" in repository.run(*shlex.split(RAVDESS))
        assert "24 speakers, 6 folds" in repository.run("cfnsr", "check")
        # named: a dry run of stages whose deps no run has made yet fails in DVC, for any pipeline
        planned = repository.run("dvc", "repro", "--dry", "download", "landmarks")
        assert "stages.download ravdess 24" in planned and "stages.landmarks ravdess" in planned
    finally:
        (repository.folder / "params.yaml").write_text(before)


@pytest.mark.parametrize("target", re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
def test_each_target_of_make_is_one_that_make_would_run(repository: Repository, target: str) -> None:
    assert "No rule" not in repository.run("make", "--dry-run", target)


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).resolve().exists(), f"{page.name}: {link}"
    assert Path(ROOT / "LICENSE").exists()
