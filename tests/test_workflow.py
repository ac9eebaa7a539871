"""The workflow of continuous integration: its comparison is run here, the rest is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.repository import ROOT, Repository

WORKFLOW: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / ".github/workflows/studio.yml").read_text())
STEPS: list[dict[str, Any]] = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]


def test_it_lints_tests_and_runs_studio() -> None:
    assert {".ci/run", "make repro"} <= set(SCRIPTS)
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
    (uploaded,) = [step["with"]["path"].split() for step in STEPS if "upload-artifact" in step.get("uses", "")]
    assert uploaded == ["metrics/studio/report.html", "metrics/studio/report.md"]


def test_one_job_installs_without_the_lock() -> None:
    scripts = [step["run"] for step in WORKFLOW["jobs"]["unlocked"]["steps"] if "run" in step]
    assert scripts[:2] == ["python -m pip install .", "cfnsr preset tiny"] and "dvc repro" in scripts
    assert not any("lock" in script for script in scripts)


def test_a_pull_request_cannot_inject_commands() -> None:
    """A script with a pull request's title or branch in it would run that text; and a fork gets no rights."""
    assert SCRIPTS and not [script for script in SCRIPTS if "${{" in script]
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in WORKFLOW["on"] and set(WORKFLOW["on"]) == {"pull_request", "workflow_dispatch"}
    assert not re.search(r"\bsecrets\.", (ROOT / ".github/workflows/studio.yml").read_text())
    for step in STEPS:
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


@pytest.mark.parametrize("changes", [True, False])
def test_it_compares_results_with_the_base(finished: Repository, tmp_path: Path, changes: bool) -> None:
    repository = finished.copy(tmp_path / "there")
    (script,) = [script for script in SCRIPTS if "changed.md" in script and "$BASE" in script]
    base = repository.run("git", "rev-parse", "HEAD").strip()
    if changes:
        path = repository.folder / "metrics/studio/metrics.json"
        path.write_text(re.sub(r'"cfnsr": [0-9.]+', '"cfnsr": 0.875', path.read_text(), count=1))
        repository.commit("a pull request")
    (repository.folder / ".venv/bin").mkdir(parents=True)
    (repository.folder / ".venv/bin/dvc").symlink_to(ROOT / ".venv/bin/dvc")
    summary = tmp_path / "summary.md"
    repository.run("env", f"BASE={base}", f"GITHUB_STEP_SUMMARY={summary}", "bash", "-euo", "pipefail", "-c", script)
    text = summary.read_text()
    assert text == (repository.folder / "changed.md").read_text() and "Studio is synthetic" in text
    rows = {cells[1]: cells[2:] for cells in (re.findall(r"[^| ]+", line) for line in text.splitlines()) if cells[2:]}
    before, after, change = map(float, rows["accuracy.cfnsr"])
    assert change == pytest.approx(after - before) and (after == 0.875) == changes == (change != 0)
    assert float(rows["accuracy.video"][2]) == 0
