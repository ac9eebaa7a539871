"""The workflow of a fork's CI: its scripts are run here, what surrounds them is read."""

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


def test_it_lints_tests_and_runs_studio_with_the_two_commands() -> None:
    assert {".ci/run", "make repro"} <= set(SCRIPTS)
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
    (kept,) = [step["with"]["path"].split() for step in STEPS if "upload-artifact" in step.get("uses", "")]
    assert kept == ["metrics/studio/report.html", "metrics/studio/report.md"]


def test_a_stranger_can_put_nothing_into_a_script() -> None:
    """A pull request's title or branch would be run, were it pasted in; and a fork gets no rights to begin with."""
    assert SCRIPTS and not [script for script in SCRIPTS if "${{" in script]
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in WORKFLOW["on"] and set(WORKFLOW["on"]) == {"pull_request", "workflow_dispatch"}
    assert not re.search(r"\bsecrets\.", (ROOT / ".github/workflows/studio.yml").read_text())
    for step in STEPS:
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


@pytest.mark.parametrize("changes", [True, False])
def test_it_says_what_has_changed(finished: Repository, tmp_path: Path, changes: bool) -> None:
    there = finished.copy(tmp_path / "there")
    (script,) = [script for script in SCRIPTS if "changed.md" in script and "$BASE" in script]
    base = there.run("git", "rev-parse", "HEAD").strip()
    if changes:
        path = there.folder / "metrics/studio/metrics.json"
        path.write_text(re.sub(r'"cfnsr": [0-9.]+', '"cfnsr": 0.875', path.read_text(), count=1))
        there.commit("a pull request")
    (there.folder / ".venv/bin").mkdir(parents=True)
    (there.folder / ".venv/bin/dvc").symlink_to(ROOT / ".venv/bin/dvc")
    summary = tmp_path / "summary.md"
    there.run("env", f"BASE={base}", f"GITHUB_STEP_SUMMARY={summary}", "bash", "-euo", "pipefail", "-c", script)
    told = summary.read_text()
    assert told == (there.folder / "changed.md").read_text() and "Studio is synthetic" in told
    rows = {cells[1]: cells[2:] for cells in (re.findall(r"[^| ]+", line) for line in told.splitlines()) if cells[2:]}
    before, after, change = map(float, rows["accuracy.cfnsr"])
    assert change == pytest.approx(after - before) and (after == 0.875) == changes == (change != 0)
    assert float(rows["accuracy.video"][2]) == 0
