"""Models by name, and what loading one imports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import cfnsr
from cfnsr.errors import CfnsrError
from cfnsr.inference import names
from tests.inference.conftest import Saved

ROOT = Path(__file__).parents[2]


def put(workspace: Path, corpus: str, model: Path) -> Path:
    path = workspace / "data" / corpus / "best" / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(model.read_bytes())
    return path


def test_best_is_that_of_the_workspace(
    saved: Callable[..., Saved], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CfnsrError, match="has no best model"):
        cfnsr.load("best")
    model, _ = saved("audio")
    studio = put(tmp_path, "studio", model)
    assert cfnsr.load("best").modalities == ["audio"]
    emodb = put(tmp_path, "emodb", model)
    with pytest.raises(CfnsrError, match="is of several corpora"):
        cfnsr.load("best")
    for corpus, path in (("studio", studio), ("emodb", emodb)):
        (tmp_path / "params.yaml").write_text(f"# The corpus\ncorpus: {corpus}\n")
        assert names.find("best") == path


def test_path_or_folder_names_a_model(saved: Callable[..., Saved], tmp_path: Path) -> None:
    path, _ = saved("averaging")
    assert names.find(str(path)) == names.find(path.parent) == path
    assert cfnsr.load(path.parent).modalities == ["video", "audio"]
    with pytest.raises(CfnsrError, match="there is no such model"):
        cfnsr.load("../nothing")
    other = tmp_path / "model.safetensors"
    other.write_text("text")
    with pytest.raises(CfnsrError, match="cannot be read as safetensors"):
        cfnsr.load(other)


def test_loading_needs_neither_dvc_nor_params(saved: Callable[..., Saved], tmp_path: Path) -> None:
    path, _ = saved("averaging", "face_mesh")
    program = f"""
import sys, cfnsr
assert "torch" not in sys.modules and "pandas" not in sys.modules
model = cfnsr.load({str(path)!r}, device="cpu")
print(sorted(name for name in sys.modules if name.startswith(("dvc", "cfnsr.config", "cfnsr.report"))))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    "extract",
    [
        5,
        {},
        {"window_s": 2.45, "video": [], "audio": {}},
        {"window_s": "long", "video": {"frames": 8, "side_px": 64}},
        {"window_s": 2.45, "offset_s": [], "video": {"frames": 8, "side_px": 64}},
        {"window_s": 2.45, "offset_s": 0.5, "video": {"frames": 2**40, "side_px": 64}},
        {"window_s": 1e12, "offset_s": 0.5, "video": {"frames": 8, "side_px": 64}, "audio": {"rate_hz": 44100}},
    ],
)
def test_malformed_description_is_one_line(saved: Callable[..., Saved], extract: object) -> None:
    path, _ = saved("averaging", preprocessing={"extract": extract, "crop": {}, "landmarks": {"source": "openface"}})
    with pytest.raises(CfnsrError, match="its description"):
        cfnsr.load(path)
