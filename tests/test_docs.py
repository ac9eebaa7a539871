"""What README and docs tell people to type works, all of it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import torch
from dvc.cli import DvcParserError, parse_args
from moto.server import ThreadedMotoServer

from cfnsr import cli
from tests.support import published, store
from tests.support.repository import ROOT, Repository
from tests.test_folder import crema_d, sheet_of

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """Commands that a reader would type one after another."""

    page: str
    number: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.removesuffix('.md')}-{self.number}"


def blocks() -> Iterator[Block]:
    for page in PAGES:
        for number, (language, block) in enumerate(FENCED.findall(page.read_text())):
            if not language:
                lines = (line.partition(" #")[0].strip() for line in block.splitlines())
                commands = (command for line in lines for command in line.split(" && ") if command)
                yield Block(page.name, number, tuple(commands))


BLOCKS = list(blocks())
# Another machine's address, what runs these tests, and what would change the environment that they run in.
NOT_HERE = ("git clone", "cd ", "source ", "make test", "make lint", "python -m pip install")
LICENSED = ("cfnsr preset ravdess --accept-licence", "cfnsr preset evaluate --accept-licence")


def its_own_environment(there: Repository) -> None:
    """With this environment as its own, so that `make` finds it set up."""
    (there.folder / ".venv").mkdir()
    for path in (ROOT / ".venv").iterdir():
        if path.name != ".installed":
            (there.folder / ".venv" / path.name).symlink_to(path)
    (there.folder / ".venv" / ".installed").touch()  # newer than all it depends on: nothing is installed


def small_presets(there: Repository) -> None:
    """What takes minutes on studio, at the size of the tiny preset."""
    tiny = (there.folder / "presets/tiny.yaml").read_text()
    (there.folder / "presets/published.yaml").write_text(
        tiny.replace("    - held_out\n", "    - held_out\n    - published\n")
    )


def videos(there: Repository) -> None:
    sheet_of(crema_d(there.folder / "its"), there.folder / "sheet.csv")


def a_published_file(there: Repository) -> None:
    torch.save(published.state("cfnsr", seed=0), there.folder / "their_best_0.pth")


def something_stale(there: Repository) -> None:
    there.edit("      heads: 8 ", "      heads: 4 ")


NEEDS: dict[str, Callable[[Repository], None]] = {
    "cfnsr launch": something_stale,
    "make repro": its_own_environment,
    "make repro PRESET=published": small_presets,
    "cfnsr folder": videos,
    "cfnsr import-checkpoint": a_published_file,
}
# A reader's own names, as they are in the tests; and three speakers cannot be five folds.
OURS = {"~/videos": "its/VideoFlash", "--folds 5": "--folds 3", "[1234,1235,1236]": "[1234,1235]"}


@pytest.fixture(scope="module")
def shop() -> Iterator[ThreadedMotoServer]:
    with store.served() as server:
        yield server


@pytest.fixture
def repository(
    finished: Repository, tmp_path: Path, shop: ThreadedMotoServer, monkeypatch: pytest.MonkeyPatch
) -> Repository:
    store.bucket(shop, "my-bucket", monkeypatch)
    monkeypatch.setitem(OURS, "https://storage.example", store.endpoint(shop))
    return finished.copy(tmp_path / "there")


def run(there: Repository, command: str) -> str:
    for theirs, ours in OURS.items():
        command = command.replace(theirs, ours)
    printed = there.run(*shlex.split(command))
    assert not re.search(r"Traceback|^ERROR|Failed", printed, re.MULTILINE), printed  # a queue's status says no more
    return printed


@pytest.mark.parametrize("block", [block for block in BLOCKS if not set(LICENSED) & set(block.lines)], ids=str)
def test_its_commands_run(repository: Repository, block: Block) -> None:
    todo = [command for command in block.lines if not command.startswith(NOT_HERE)]
    for prefix, prepare in NEEDS.items():
        if any(command.startswith(prefix) for command in todo):
            prepare(repository)
    if block.page == "sharing.md" and block.number:
        run(repository, "dvc remote add --default store s3://my-bucket/cfnsr")
        run(repository, "dvc remote modify store endpointurl https://storage.example")
        run(repository, "dvc push --run-cache")
    if "sheet.csv" in " ".join(todo):
        todo[todo.index("dvc repro")] = "dvc repro check@folder"  # tests/test_folder.py trains
    for command in todo:
        printed = run(repository, command)
        if command.startswith("make repro"):
            assert "pip install" not in printed
            assert "cfnsr" in printed and "Where the time went" in printed


@pytest.mark.parametrize("block", [block for block in BLOCKS if set(LICENSED) & set(block.lines)], ids=str)
def test_what_fetches_ravdess_is_ready_to_run(repository: Repository, block: Block) -> None:
    """All but the fetching and what follows it: that takes hours and the network."""
    assert block.lines[1:] == ("dvc repro", "cfnsr results")
    assert "BY-NC-SA 4.0" in run(repository, block.lines[0])
    if "evaluate" in block.lines[0]:
        told = repository.run("cfnsr", "check", status=1)
        assert "checkpoints/video/fold_1.safetensors is missing. Write it with `cfnsr import-checkpoint`" in told
    else:
        assert "24 speakers, 6 folds" in repository.run("cfnsr", "check")
    # named: a dry run of stages whose deps no run has made yet fails in DVC, for any pipeline
    planned = repository.run("dvc", "repro", "--dry", "download", "landmarks")
    assert "stages.download ravdess 01" in planned and "stages.landmarks ravdess" in planned


def test_the_pages_are_there_and_show_commands() -> None:
    by_page = {
        page.stem: [line for block in BLOCKS if block.page == page.name for line in block.lines] for page in PAGES
    }
    assert {"pipeline", "corpora", "systems", "protocol", "scaling", "troubleshooting"} <= set(by_page)
    assert "make repro" in by_page["README"] and "dvc repro" in by_page["README"] and len(by_page["README"]) >= 12
    assert any(block.lines == (LICENSED[0], "dvc repro", "cfnsr results") for block in BLOCKS)
    assert len((ROOT / "README.md").read_text().splitlines()) < 250
    installed = " ".join((ROOT / "Makefile").read_text().split())
    for line in by_page["troubleshooting"]:
        if line.startswith("python -m pip install"):
            for part in line.removeprefix("python ").split():
                assert part in installed, part


def test_the_readmes_example_loads_a_model(finished: Repository, tmp_path: Path) -> None:
    there = finished.copy(tmp_path / "there")
    (example,) = [block for language, block in FENCED.findall((ROOT / "README.md").read_text()) if language == "python"]
    printed = there.run("python", "-W", "error", "-c", f"{example}\nprint(tuple(log_probabilities.shape))")
    assert printed.strip().endswith("(8, 8)")


def test_the_example_of_a_sheet_writes_one(tmp_path: Path) -> None:
    (example,) = [
        block for language, block in FENCED.findall((ROOT / "docs/corpora.md").read_text()) if language == "python"
    ]
    (tmp_path / "VideoFlash").mkdir()
    for speaker in ("1001", "1002"):
        for emotion in ("ANG", "NEU"):
            (tmp_path / f"VideoFlash/{speaker}_DFA_{emotion}_XX.flv").touch()
    subprocess.run([sys.executable, "-W", "error", "-c", example], cwd=tmp_path, check=True)
    assert (tmp_path / "crema-d.csv").read_text().splitlines() == [
        "file,label,speaker",
        "1001_DFA_ANG_XX.flv,anger,1001",
        "1001_DFA_NEU_XX.flv,neutral,1001",
        "1002_DFA_ANG_XX.flv,anger,1002",
        "1002_DFA_NEU_XX.flv,neutral,1002",
    ]


def mentioned() -> list[tuple[str, str]]:
    """Commands within sentences, and in the tables."""
    found = []
    for page in PAGES:
        prose = FENCED.sub("", page.read_text())
        found += [(page.name, text) for text in re.findall(r"`((?:cfnsr|dvc|make|python|pytest) [^`]+)`", prose)]
    return sorted(set(found))


@pytest.mark.parametrize(("page", "command"), mentioned(), ids=lambda value: str(value).replace("/", "."))
def test_a_command_within_a_sentence_is_one(page: str, command: str, caplog: pytest.LogCaptureFixture) -> None:
    program, *words = [word for word in shlex.split(command) if not re.fullmatch(r"[A-Z_]+|<.*>|\.\.\.", word)]
    if program == "cfnsr":
        known = cli.main.get_command(click.Context(cli.main), words[0])
        options = {option for one in known.params if isinstance(one, click.Option) for option in one.opts} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= options, page
    elif program == "dvc":
        try:
            parse_args(words)
        except DvcParserError:  # it may leave out what the sentence says
            assert "the following arguments are required" in caplog.text, caplog.text
    elif program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[0] in targets, page
    else:
        files = [word for word in words if word.endswith(".py")]
        modules = [f"{word.replace('.', '/')}.py" for word in words if word.startswith("stages.")]
        assert files + modules, page
        assert all((ROOT / file).is_file() for file in files + modules), page


def test_every_flag_of_the_published_script_is_placed() -> None:
    text = (ROOT / "README.md").read_text()
    rows = dict(re.findall(r"^\| `--(\w+)` \| (.+) \|$", text, re.MULTILINE))
    assert set(rows) == {
        *("datadir", "k_fold", "lr", "batch_size", "num_workers", "epochs", "checkpointdir"),
        *("no_verbose", "log_interval", "no_save", "train"),
    }
    params = (ROOT / "params.yaml").read_text()
    for key in re.findall(r"`([a-z_]+(?:\.[a-z_<>]+)*)`", " ".join(rows.values())):
        leaf = key.rpartition(".")[2]
        assert re.search(rf"^ *{leaf}:", params, re.MULTILINE), key


@pytest.mark.parametrize("target", re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
def test_each_target_of_make_is_one_that_make_would_run(finished: Repository, target: str) -> None:
    said = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "No rule" not in said.stderr


def test_links_lead_somewhere() -> None:
    for page in [*PAGES, *(ROOT / "docs/decisions").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).resolve().exists(), f"{page.name}: {link}"
    assert (ROOT / "LICENSE").exists()


def test_the_reference_is_made_of_the_docstrings_without_a_warning(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-W", "error", "-m", "pdoc", "--docformat", "google", "-o", str(tmp_path), "cfnsr", "stages"],
        check=True,
        cwd=ROOT,
    )
    written = {str(path.relative_to(tmp_path).with_suffix("")).replace("/", ".") for path in tmp_path.rglob("*.html")}
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in ("cfnsr", "stages")
        for path in (ROOT / package).rglob("*.py")
    }
    assert modules - {"cfnsr.models.published.names"} <= written  # its package tells all there is, in __all__
