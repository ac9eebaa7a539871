"""The notebook docs/tutorial.ipynb: it runs, and is committed with its outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.repository import ROOT, Repository

NOTEBOOK = "docs/tutorial.ipynb"


def code_cells(folder: Path) -> list[dict[str, Any]]:
    cells = json.loads((folder / NOTEBOOK).read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def printed(cell: dict[str, Any]) -> str:
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])


def pictures(cells: list[dict[str, Any]]) -> int:
    return sum("image/jpeg" in output.get("data", {}) for cell in cells for output in cell["outputs"])


def test_tutorial_runs(finished: Repository, tmp_path: Path) -> None:
    """From a finished run, so that its first experiment has little to do."""
    repository = finished.copy(tmp_path / "repository")
    repository.run("env", f"IPYTHONDIR={tmp_path / 'ipython'}", "jupyter-execute", NOTEBOOK, "--inplace")
    cells = code_cells(repository.folder)
    assert pictures(cells) == 2
    texts = [printed(cell) for cell in cells]
    (compared,) = (text for text in texts if "Change" in text)
    assert "systems.cfnsr.training.epochs" in compared and "accuracy.cfnsr" in compared
    (predicted,) = (text for text in texts if "emotion" in text)
    assert len(predicted.splitlines()) > 2
    assert sum("held out by speaker on studio" in text for text in texts) == 1


def test_committed_tutorial_has_outputs() -> None:
    content = (ROOT / NOTEBOOK).read_text(encoding="utf-8")
    cells = code_cells(ROOT)
    assert len(content) < 300_000 and pictures(cells) == 2
    assert all(cell["outputs"] for cell in cells if not "".join(cell["source"]).startswith("%cd"))
    for of_a_machine in (str(ROOT), str(Path.home()), "/tmp/", "Traceback"):
        assert of_a_machine not in content
