"""Models that are DVC artifacts: a real repository, by its path and by its address."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import chdir
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from dvc.repo import Repo

import cfnsr
from cfnsr.errors import CfnsrError
from cfnsr.inference import artifacts
from cfnsr.inference.artifacts import Artifact
from cfnsr.inference.card import Card
from tests.inference.conftest import save
from tests.support import prepared, zoo
from tests.support.repository import ROOT

DVC_YAML = """
artifacts:
  best: {path: "data/${corpus}/best", type: model}
  table: {path: data/table}
  page: {path: page.html}
"""
NAMED = ["best", "best@v1.0.0", "best@dev", "best@main"]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "dvc"))
    return tmp_path / "cache"


def share(folder: Path, remote: Path) -> None:
    """Name a repository's DVC remote, and commit that."""
    (folder / ".dvc/config").write_text(f"[core]\n    remote = shared\n['remote \"shared\"']\n    url = {remote}\n")
    git(folder, "add", ".dvc/config")
    git(folder, "commit", "-qm", "remote")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a repository whose version v1.0.0, branch main and branch dev have other cards."""
    folder = tmp_path_factory.mktemp("shared") / "emotions"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "params.yaml").write_text("corpus: studio\n")
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "page.html").write_text("a page")
    best, table = folder / "data/studio/best", folder / "data/table"
    best.mkdir(parents=True)
    table.mkdir()
    (table / "rows.csv").write_text("a table\n")
    spec = replace(zoo.spec("audio"), preprocessing=prepared.preprocessing("openface"))
    save(best / "model.safetensors", spec)
    (best / "notes.txt").write_text("what else is there")
    with chdir(folder), Repo.init(".") as repo:
        share(folder, folder.with_name("remote"))
        for part in ("dev", "v1.0.0", "main"):
            git(folder, "checkout", "-q", "-B", "dev" if part == "dev" else "main")
            Card(part, "studio").write(best)
            repo.add(["data/studio/best", "data/table"])
            git(folder, "add", "-A")
            git(folder, "commit", "-qm", part)
            if part == "v1.0.0":
                git(folder, "tag", "-a", "-m", "to share", "best@v1.0.0")
        with Repo(".") as configured:
            configured.push(all_commits=True)
    return folder


def test_name_has_a_repository_and_an_artifact() -> None:
    for text, expected in {
        "https://host/group/emotions:best": ("https://host/group/emotions", "best", ""),
        "git@host:group/emotions:best@v1.2.0": ("git@host:group/emotions", "best", "v1.2.0"),
        "../emotions:voice_small@feature/new": ("../emotions", "voice_small", "feature/new"),
    }.items():
        artifact = Artifact.of(text)
        assert artifact is not None and astuple(artifact) == expected
    # git would take these for options or programs, or they name no artifact
    for text in ("ext::sh -c id:best", "--upload-pack=id:best", "a:best@--x", "a:-best", "https://host/a", "a:b@", "a"):
        assert Artifact.of(text) is None


@pytest.mark.parametrize("address", ["{}", "file://{}"])
def test_artifact_is_loaded_at_a_revision(address: str, repository: Path, cache: Path) -> None:
    where = address.format(repository)
    # The newest version is DVC's own choice.
    cards = [cfnsr.load(f"{where}:{name}", device="cpu").card.name for name in NAMED]
    assert cards == ["v1.0.0", "v1.0.0", "dev", "main"]
    commit = git(repository, "rev-parse", "dev")
    assert cfnsr.load(f"{where}:best@{commit}").card.name == "dev"
    fetched = {path.name for path in cache.rglob(f"{commit}/best/*")}
    assert fetched == {"model.safetensors", "card.json"}


def test_fetched_model_needs_the_data_once(repository: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(repository, tmp_path / "copy")
    share(copy, shutil.copytree(repository.with_name("remote"), tmp_path / "remote"))
    git(copy, "tag", "-d", "best@v1.0.0")
    name = f"{copy}:best"
    assert cfnsr.load(name).card.name == "main"
    shutil.rmtree(copy / ".dvc/cache")
    shutil.rmtree(tmp_path / "remote")
    assert cfnsr.load(name).card.name == "main"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{}:best@v9", "has no revision v9"),
        ("{}:other", "has no such artifact"),
        ("{}:table", r"its folder data/table has no model\.safetensors"),
        ("{}:page", r"its folder page\.html has no model\.safetensors"),
        ("{}/none:best", r"cannot be fetched .* Give the address of a git repository"),
        ("https://127.0.0.1:9/emotions:best", "cannot be fetched .*refused"),
        ("{}/../plain:best", "cannot be fetched"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(name: str, message: str, repository: Path) -> None:
    (repository.parent / "plain").mkdir(exist_ok=True)
    with pytest.raises(CfnsrError, match=message) as caught:
        cfnsr.load(name.format(repository))
    assert len(str(caught.value).splitlines()) == 1


def test_missing_data_is_one_line(repository: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(repository, tmp_path / "copy")
    remote = shutil.copytree(repository.with_name("remote"), tmp_path / "remote")
    share(copy, remote)
    weights = (copy / "data/studio/best/model.safetensors").read_bytes()
    (stored,) = (path for path in remote.rglob("*") if path.is_file() and path.read_bytes() == weights)
    stored.unlink()
    with pytest.raises(CfnsrError, match=r"cannot be fetched .* check that you may read it, and its DVC remote"):
        cfnsr.load(f"file://{copy}:best@main")


def test_what_is_too_large_is_refused(repository: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(artifacts._MAX_BYTES, "card.json", 10)
    with pytest.raises(CfnsrError, match=r"its card\.json has more than 10 bytes"):
        cfnsr.load(f"{repository}:best")
    assert not list(cache.rglob("model.safetensors"))


def test_git_is_not_needed(repository: Path, tmp_path: Path) -> None:
    program = f"import cfnsr; print(cfnsr.load('file://{repository}:best').card.name)"
    environment = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout == "v1.0.0\n" and done.stderr == ""
