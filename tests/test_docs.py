"""What README and docs tell people to type works, all of it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import pytest
import torch
from dvc.cli import DvcParserError, parse_args
from moto.server import ThreadedMotoServer

from cfnsr import cli
from tests.conftest import made_once
from tests.corpora.test_folder import crema_d, sheet_of
from tests.support import published, store
from tests.support.media import tone
from tests.support.repository import ROOT, Repository

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
# Another machine's address, what runs these tests, what would change the environment that they run in, and the queue,
# which tests/pipeline/test_variants.py runs, as tests/test_site.py builds the site.
NOT_HERE = (
    *("git clone", "cd ", "source ", "make test", "make lint", "make docs", "python -m pip install"),
    "dvc exp run --run-all",
    "cfnsr demo",  # serves until it is told to end; see tests/cli/test_demo.py
)
# A reader's own names and folders, as they are in the tests; and of three speakers none is the fifth, nor are they five
# folds. One epoch is enough.
OURS = {
    "~/videos": "its/VideoFlash",
    "--folds 5": "--folds 3",
    "[1234,1235,1236]": "[1234,1235]",
    "landmarks/05.parquet /tmp/": "landmarks/01.parquet tmp/",
    " /tmp/": " tmp/",
    "epochs=10": "epochs=1",
    "../emotions:best": ".:best",
    "https://example.org/group/emotions:best@v1.0.0": ".:best@main",
}
LICENSED = re.compile(r"cfnsr preset (\w+) --accept-licence")
REMOTE = (
    "dvc remote add --default store s3://my-bucket/cfnsr",
    "dvc remote modify store endpointurl https://storage.example",
    "dvc push --run-cache",
)


# They leave the repository as others do not expect it; what the other commands add to it is in no other's way.
CHANGES = (
    *("cfnsr folder", "cfnsr launch", "cfnsr preset", "make repro PRESET="),
    *("dvc exp run", "dvc repro --single-item"),
)
PRINTS = ("cfnsr check", "dvc status")  # they say the same in each of the repositories
NAMED = "dvc exp run -n "


def ours(command: str) -> str:
    """Return a command with the names and folders that there are in the tests."""
    for theirs, name in OURS.items():
        command = command.replace(theirs, name)
    return command


def sequences(blocks: list[Block]) -> list[Block]:
    """Leave out what has run before: blocks all of whose commands stand in longer ones, and commands that only print.

    A block that starts with the named experiment of another goes on where that ends.
    """
    kept: list[Block] = []
    seen: set[str] = set()
    for block in sorted(blocks, key=lambda block: -len(block.lines)):
        commands = {ours(line) for line in block.lines if not line.startswith(NOT_HERE)}
        if commands <= seen:
            continue
        first, *others = [line for line in block.lines if not (line.startswith(PRINTS) and ours(line) in seen)]
        if first.startswith(NAMED) and ours(first) in seen:
            (place,) = [place for place, before in enumerate(kept) if ours(first) in map(ours, before.lines)]
            kept[place] = replace(kept[place], lines=(*kept[place].lines, *others))
        else:
            kept.append(replace(block, lines=(first, *others)))
        seen |= commands
    return kept


def environment(repository: Repository) -> None:
    """Give a repository this environment as its own, so that `make` finds it set up."""
    (repository.folder / ".venv").mkdir()
    for path in (ROOT / ".venv").iterdir():
        if path.name != ".installed":
            (repository.folder / ".venv" / path.name).symlink_to(path)
    (repository.folder / ".venv" / ".installed").touch()  # newer than all it depends on: nothing is installed


def small_preset(repository: Repository) -> None:
    """The preset that `make repro` is shown with, on as few speakers as the tiny one, and for one row."""
    tiny = (repository.folder / "presets/tiny.yaml").read_text()
    (repository.folder / "presets/test_selected.yaml").write_text(
        f"{tiny}\nrun:\n  protocols: [held_out, test_selected]\n  pretrain: [video]\n  combine: []\n  train: []\n"
    )


def one_row(repository: Repository) -> None:
    """Fewer jobs, for commands that repeat all of them."""
    repository.list_rows(pretrain=["video"], combine=[], train=[])


def videos(repository: Repository) -> None:
    sheet_of(crema_d(repository.folder / "its"), repository.folder / "labels.csv")
    one_row(repository)
    (repository.folder / "dvc.lock").unlink()  # DVC writes all of it after each stage


def a_published_file(repository: Repository) -> None:
    torch.save(published.state("cfnsr", seed=0), repository.folder / "their_best_0.pth")


def stale_jobs(repository: Repository) -> None:
    repository.edit("      heads: 8 ", "      heads: 4 ")


def a_remote(repository: Repository) -> None:
    if "my-bucket" in (repository.folder / ".dvc/config").read_text():
        return
    for command in REMOTE:
        run(repository, command)


def recordings(repository: Repository) -> None:
    """A reader's own recordings: without the CSV that lies beside studio's clips."""
    clip = min((repository.folder / "data/studio/raw").rglob("*.mp4"))
    (repository.folder / "clips").mkdir(exist_ok=True)
    for name in ("interview.mp4", "talk.mp4", "clips/one.mp4"):
        shutil.copyfile(clip, repository.folder / name)
    tone(repository.folder / "call.wav", pitch_hz=200)


NEEDS: dict[str, Callable[[Repository], None]] = {
    "cfnsr launch": stale_jobs,
    "cfnsr predict": recordings,
    "make repro": environment,
    "make repro PRESET=test_selected": small_preset,
    "cfnsr folder": videos,
    "dvc exp run -S 'run.seeds=": one_row,
    "cfnsr import-checkpoint": a_published_file,
    "dvc pull": a_remote,
}


def make_documented(folder: Path, finished: Repository) -> None:
    repository = finished.copy(folder)
    repository.use_stubs()
    repository.dvc("commit", "-f")
    repository.commit("stubs")
    repository.pack()


@pytest.fixture(scope="session")
def documented(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The real results, and stubs in place of the stages for what commands run again."""
    return Repository(made_once(tmp_path_factory, "documented", lambda folder: make_documented(folder, finished)))


@pytest.fixture(scope="module")
def shared(documented: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The repository of all blocks that are not in each other's way."""
    return documented.copy(tmp_path_factory.mktemp("shared") / "repository")


@pytest.fixture
def surroundings(shop: ThreadedMotoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader's bucket and caches."""
    store.bucket(shop, "my-bucket", monkeypatch)
    monkeypatch.setitem(OURS, "https://storage.example", store.endpoint(shop))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(repository: Repository, command: str) -> str:
    command = ours(command)
    if command.startswith("python -m stages."):  # by hand, with a reader's own paths: the real stage
        return repository.stage(command)
    words = shlex.split(command)
    if words[0] == "cfnsr" and words[1] != "launch":  # `make repro` runs it as a process
        return repository.cli(*words[1:])
    printed = repository.dvc(*words[1:]) if words[0] == "dvc" else repository.run(*words)
    # `dvc queue` and `dvc exp run --run-all` end with 0 where an experiment failed
    assert not re.search(r"Traceback|^ERROR: |Failed", printed, re.MULTILINE), printed
    return printed


def is_licensed(block: Block) -> bool:
    return any(LICENSED.fullmatch(line) for line in block.lines)


@pytest.mark.parametrize("block", sequences([block for block in BLOCKS if not is_licensed(block)]), ids=str)
@pytest.mark.usefixtures("surroundings")
def test_documented_commands_run(documented: Repository, shared: Repository, tmp_path: Path, block: Block) -> None:
    commands = [command for command in block.lines if not command.startswith(NOT_HERE)]
    changed = any(command.startswith(CHANGES) for command in commands)
    repository = documented.copy(tmp_path / "repository") if changed else shared
    for prefix, prepare in NEEDS.items():
        if any(command.startswith(prefix) for command in commands):
            prepare(repository)
    for command in commands:
        printed = run(repository, command)
        if command.startswith("make repro"):
            assert "pip install" not in printed
            assert "cfnsr" in printed and "Seconds" in printed


@pytest.mark.parametrize("block", sequences([block for block in BLOCKS if is_licensed(block)]), ids=str)
@pytest.mark.usefixtures("surroundings")
def test_licensed_presets_are_ready_to_run(documented: Repository, tmp_path: Path, block: Block) -> None:
    """All but the download and what follows it: that takes hours and the network."""
    repository = documented.copy(tmp_path / "repository")
    assert block.lines[1:] == ("dvc repro", "cfnsr results")
    assert "BY-NC-SA 4.0" in run(repository, block.lines[0])
    if "evaluate" in block.lines[0]:
        printed = repository.cli("check", status=1)
        assert "checkpoints/video/fold_1.safetensors is missing. Write it with `cfnsr import-checkpoint`" in printed
    else:
        assert "24 speakers, 6 folds" in repository.cli("check")
    # named: a dry run of stages whose deps no run has made yet fails in DVC, for any pipeline
    planned = repository.dvc("repro", "--dry", "download", "published_landmarks")
    corpus = "ravdess_speech" if "ravdess_speech" in block.lines[0] else "ravdess"
    assert f"stages.download '{corpus}' '01'" in planned and f"stages.published_landmarks '{corpus}' " in planned


def test_pages_show_commands() -> None:
    by_page = {
        page.stem: [line for block in BLOCKS if block.page == page.name for line in block.lines] for page in PAGES
    }
    assert {"pipeline", "corpora", "systems", "protocol", "scaling", "troubleshooting"} <= set(by_page)
    assert "make repro" in by_page["README"] and "dvc repro" in by_page["README"] and len(by_page["README"]) >= 12
    assert any(map(is_licensed, BLOCKS))
    assert len((ROOT / "README.md").read_text().splitlines()) <= 180
    installed = " ".join((ROOT / "Makefile").read_text().split())
    for line in by_page["troubleshooting"]:
        if line.startswith("python -m pip install"):
            for part in line.removeprefix("python ").split():
                assert part in installed, part


def test_the_readmes_example_predicts_a_video(finished: Repository, tmp_path: Path) -> None:
    repository = finished.copy(tmp_path / "repository")
    (example,) = [block for language, block in FENCED.findall((ROOT / "README.md").read_text()) if language == "python"]
    recordings(repository)
    printed = repository.run("python", "-c", f"{example}\nprint(len(table), table.columns.tolist())")
    assert re.search(r"^[1-9]\d* \['file', .*'p_happy'", printed, re.MULTILINE), printed


def test_the_example_writes_a_labels_file(tmp_path: Path) -> None:
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
    commands = []
    for page in PAGES:
        prose = FENCED.sub("", page.read_text())
        commands += [(page.name, text) for text in re.findall(r"`((?:cfnsr|dvc|make|python|pytest) [^`]+)`", prose)]
    return sorted(set(commands))


@pytest.mark.parametrize(("page", "command"), mentioned(), ids=lambda value: str(value).replace("/", "."))
def test_a_command_within_a_sentence_is_one(page: str, command: str, caplog: pytest.LogCaptureFixture) -> None:
    program, *words = [word for word in shlex.split(command) if not re.fullmatch(r"[A-Z_]+|<.*>|\.\.\.", word)]
    if program == "cfnsr":
        known = cli.main.get_command(click.Context(cli.main), words[0])
        options = {name for param in known.params if isinstance(param, click.Option) for name in param.opts} | {
            "--help"
        }
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


def test_every_published_flag_has_a_key() -> None:
    text = "".join(page.read_text() for page in PAGES)
    rows = dict(re.findall(r"^\| `--(\w+)` \| (.+) \|$", text, re.MULTILINE))
    assert set(rows) == {
        *("datadir", "k_fold", "lr", "batch_size", "num_workers", "epochs", "checkpointdir"),
        *("no_verbose", "log_interval", "no_save", "train"),
    }
    params = (ROOT / "params.yaml").read_text()
    for key in re.findall(r"`([a-z_]+(?:\.[a-z_<>]+)*)`", " ".join(rows.values())):
        leaf = key.rpartition(".")[2]
        assert re.search(rf"^ *{leaf}:", params, re.MULTILINE), key


def test_every_make_target_has_commands_and_a_description() -> None:
    text = (ROOT / "Makefile").read_text()
    described = set(re.findall(r"^([a-z]+):.*?## \S", text, re.MULTILINE))
    (phony,) = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert described | {"help"} == set(phony.split()) and {"setup", "repro", "test", "lint"} <= described
    # Of every target but `setup`, what it adds to that: an empty recipe adds nothing.
    setup = planned("setup")
    assert any("pip install" in command for command in setup)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for target in {*phony.split()} - {"setup"}:
        commands = [command for command in planned(target) if command not in setup]
        assert commands, f"make {target} runs nothing"
        for command in commands:
            program = command.split()[0]
            assert program == "for" or shutil.which(program, path=path), (
                f"make {target} runs {program}, which is not there"
            )
        for script in re.findall(r"[\w/]+\.(?:py|sh)\b", " ".join(commands)):
            assert (ROOT / script).is_file(), script


def planned(target: str) -> list[str]:
    """Return the commands that make would run for a target if nothing were up to date."""
    command = ["make", "--dry-run", "--always-make", target]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = printed.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def test_links_have_targets() -> None:
    for page in [*PAGES, *(ROOT / "docs/decisions").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).resolve().exists(), f"{page.name}: {link}"
    assert (ROOT / "LICENSE").exists()
