"""Where DVC can and cannot work, and that what the errors say helps. With real git and DVC, real mounts and clones."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cfnsr.errors import CfnsrError
from cfnsr.runtime import dvc_folders

Seal = Callable[[Path], None]


def run(folder: Path, *command: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    author = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **author, "PATH": path}
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> None:
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "start")


@pytest.fixture
def unpacked(tmp_path: Path, root: Path) -> Path:
    """A repository of one stage as an archive has it: without git."""
    folder = tmp_path / "repository"
    shutil.copytree(root / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local"))
    (folder / "dvc.yaml").write_text("stages: {one: {cmd: mkdir -p data && echo 1 > data/one, outs: [data/one]}}\n")
    return folder


@pytest.fixture
def repository(unpacked: Path) -> Path:
    commit(unpacked)
    return unpacked


@pytest.mark.parametrize("name", ["data", "metrics"])
def test_outputs_outside_the_repository_are_refused(repository: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "disk").mkdir()
    (repository / name).symlink_to(tmp_path / "disk")
    with pytest.raises(CfnsrError, match=f"{name}: leads outside the repository"):
        dvc_folders.check(repository, {})


@contextmanager
def sealed(folder: Path) -> Iterator[None]:
    """Have nothing written in a folder; root writes wherever the disk lets it."""
    if os.geteuid():
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    if subprocess.run(["mount", "--bind", str(folder), str(folder)], capture_output=True).returncode:
        pytest.skip("root writes in every folder that is not mounted read-only, and may not mount here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def seal() -> Iterator[Seal]:
    with ExitStack() as stack:
        yield lambda folder: stack.enter_context(sealed(folder))


def refused(folder: Path, entries: dict[str, object] | None = None) -> str:
    with pytest.raises((CfnsrError, OSError)) as caught:
        dvc_folders.check(folder, entries or {})
    return str(caught.value)


@pytest.mark.parametrize("remedy", ["git", "dvc"])
def test_archive_without_git_works_as_told(unpacked: Path, remedy: str) -> None:
    message = refused(unpacked)
    assert f"{unpacked}: is not a git repository. Run `git init && git add -A && git commit -m start`" in message
    assert "`dvc config --local core.no_scm true`" in message
    commit(unpacked) if remedy == "git" else run(unpacked, "dvc", "config", "--local", "core.no_scm", "true")
    assert dvc_folders.check(unpacked, {}) == []
    assert "Running stage 'one'" in run(unpacked, "dvc", "repro")


def test_archive_without_hidden_files_is_refused(unpacked: Path) -> None:
    shutil.rmtree(unpacked / ".dvc")
    assert "has no folder .dvc" in refused(unpacked)


def test_subfolder_and_worktree_pass(unpacked: Path, tmp_path: Path) -> None:
    commit(tmp_path)
    assert dvc_folders.check(unpacked, {}) == []
    run(tmp_path, "git", "worktree", "add", "-q", "worktree")
    assert dvc_folders.check(tmp_path / "worktree/repository", {}) == []


def test_shallow_clone_is_told_what_it_lacks(repository: Path, tmp_path: Path) -> None:
    run(repository, "git", "commit", "-qm", "second", "--allow-empty")
    run(tmp_path, "git", "clone", "-q", "--depth=1", f"file://{repository}", "shallow")
    (note,) = dvc_folders.check(tmp_path / "shallow", {})
    assert "`dvc exp run --temp` and `--queue` lose their results until `git fetch --unshallow`" in note
    run(tmp_path / "shallow", "git", "fetch", "-q", "--unshallow")
    assert dvc_folders.check(tmp_path / "shallow", {}) == []


def test_git_of_another_owner_bears_on_experiments(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own test uses it
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (note,) = dvc_folders.check(repository, {})
    assert note.endswith(f"until `git config --global --add safe.directory {repository}`")
    run(tmp_path, "git", "config", "--global", "--add", "safe.directory", str(repository))
    assert dvc_folders.check(repository, {}) == []


def test_letters_of_the_path_bear_on_experiments(repository: Path, tmp_path: Path) -> None:
    folder = repository.rename(tmp_path / "Gefühl à deux")
    (note,) = dvc_folders.check(folder, {})
    assert f"{folder}/.dvc/cache" in note
    run(folder, "dvc", "cache", "dir", "--local", str(tmp_path / "cache"))
    assert dvc_folders.check(folder, {}) == []
    run(folder, "dvc", "exp", "run", "--temp", "-n", "elsewhere")
    assert "elsewhere" in run(folder, "dvc", "exp", "list")


@pytest.mark.parametrize("name", ["", ".dvc/tmp", "data", "data/logs", "metrics"])
def test_folder_that_refuses_files_is_named(repository: Path, seal: Seal, name: str) -> None:
    (repository / name).mkdir(parents=True, exist_ok=True)
    seal(repository / name)
    message = refused(repository)
    assert f"'{repository / name}'" in message and len(message.splitlines()) == 1


def test_full_disk_is_named(repository: Path, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(1024**2))
    (repository / "data").mkdir(exist_ok=True)
    (repository / "data/logs").symlink_to(small_disk)
    assert "No space left on device" in refused(repository) and "data/logs" in refused(repository)


def test_outputs_of_another_owner_are_named(repository: Path, seal: Seal) -> None:
    folder = repository / "data/studio/raw"
    folder.mkdir(parents=True)
    entries: dict[str, object] = {"download@studio-01": {"outs": [{"path": "data/studio/raw/01"}]}}
    assert dvc_folders.check(repository, entries) == []
    seal(folder)
    assert f"'{folder}'" in refused(repository, entries)


@pytest.mark.parametrize("name", ["files/md5", "files/md5/0a", "runs/0a"])
def test_cache_of_another_owner_can_be_left(repository: Path, tmp_path: Path, seal: Seal, name: str) -> None:
    settings = repository / ".dvc/config.local"
    settings.write_text(f"[cache]\ndir = {tmp_path / 'cache'}\n")
    (tmp_path / "cache" / name).mkdir(parents=True)
    assert dvc_folders.check(repository, {}) == []
    seal(tmp_path / "cache" / name)
    message = refused(repository)
    assert f"{tmp_path / 'cache' / name}: DVC cannot write its cache (" in message
    assert "use one of your own: `dvc cache dir --local .dvc/cache`" in message
    settings.write_text("[cache]\ndir = cache\n")  # what this command writes
    assert dvc_folders.check(repository, {}) == []


def test_index_of_dvc_can_be_elsewhere(
    repository: Path, tmp_path: Path, seal: Seal, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    seal(tmp_path / "site")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site" / "dvc"))
    assert f"{tmp_path / 'site'}: DVC cannot write there" in refused(repository)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "other"))
    assert dvc_folders.check(repository, {}) == []


def test_temporary_files_need_a_folder(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "missing")])
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert "Set TMPDIR to a folder with free space that you can write to" in refused(repository)


def test_user_without_a_name_is_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a number."""

    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert "Set LOGNAME to any name: `export LOGNAME=me`" in refused(repository)
