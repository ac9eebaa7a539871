"""The stage `params` runs first: no name of a faulty params.yaml reaches a shell. With stubs."""

from __future__ import annotations

import pytest

from cfnsr.runtime.dvc_repository import plan, stage_names
from tests.support.repository import ROOT, Repository

# Each writes a file if a shell reads it: texts of params.yaml, and what stands in their place.
INJECTED = {
    "actor": {"  - '03'\n": "  - 03; touch hacked\n"},
    "job": {
        "  fold_2:\n": "  'a$(touch hacked)':\n",
        "    - 1234\n": "    - '`touch hacked`'\n",
        "    - held_out\n": "    - '| touch hacked'\n",
    },
    "quote": {"  - '03'\n": "  - \"'; touch hacked; '\"\n"},
    "line": {"  - '03'\n": "  - \"03'\\ntouch hacked\\n'\"\n"},
}


@pytest.fixture(scope="module")
def copied(stubbed: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    repository = stubbed.copy(tmp_path_factory.mktemp("params_first") / "repository")
    (repository.folder / "stages/params.py").write_bytes((ROOT / "stages/params.py").read_bytes())  # not its stub
    repository.dvc("repro")
    repository.commit("with the real stage")
    return repository


@pytest.fixture
def repository(copied: Repository) -> Repository:
    copied.run("git", "checkout", "-q", "params.yaml", "dvc.lock")
    (copied.folder / "data/params.txt").write_text("params.yaml is sound\n")
    return copied


def inject(repository: Repository, kind: str) -> None:
    for old, new in INJECTED[kind].items():
        repository.edit(old, new)


def is_hacked(repository: Repository) -> bool:
    return any(repository.folder.rglob("*hacked"))


def refused(repository: Repository, *arguments: str) -> None:
    """Run a command of DVC's that must fail in the stage `params`, and run no other."""
    printed = repository.dvc(*arguments, status=255)
    assert [line for line in printed.splitlines() if line.startswith("Running stage")] == ["Running stage 'params':"]
    assert "Error: params.yaml: " in printed and not is_hacked(repository)


@pytest.mark.parametrize("kind", INJECTED)
def test_no_name_reaches_a_shell(repository: Repository, kind: str) -> None:
    inject(repository, kind)
    refused(repository, "repro", *(["--keep-going"] if kind in {"job", "quote"} else []))


def test_experiments_and_targets_are_checked_first(repository: Repository) -> None:
    refused(repository, "exp", "run", "-S", "actors=['01; touch hacked']", "pretrain")
    # The output of `params` is gone: what skips that stage lacks it.
    printed = repository.dvc("repro", "--downstream", "download", status=255)
    assert "data/params.txt" in printed and "Running" not in printed


@pytest.mark.parametrize(("kind", "stage"), [("actor", "download"), ("job", "pretrain")])
def test_names_are_quoted_where_the_check_is_skipped(repository: Repository, kind: str, stage: str) -> None:
    inject(repository, kind)
    printed = repository.dvc("repro", "--downstream", stage, status=255)
    assert "Running stage" in printed and not is_hacked(repository)


def test_a_sound_edit_runs_nothing_downstream(repository: Repository) -> None:
    repository.edit("jobs: 0 ", "jobs: 1 ")
    assert plan(repository.folder, stage_names(repository.folder)).needs == {"params": set()}
    printed = repository.dvc("repro")
    assert printed.count("Running stage") == 1 and "Running stage 'params'" in printed
