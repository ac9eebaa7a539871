"""Exported networks asked about recordings: the same table as torch's, without torch's network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cfnsr
from cfnsr.corpora.clip import Clip
from cfnsr.data.dataset import Clips
from cfnsr.errors import CfnsrError
from cfnsr.inference import export
from cfnsr.inference.card import Card
from tests.inference.conftest import Saved
from tests.inference.test_network import predict, probabilities, without_sound
from tests.support.repository import ROOT

NAMES = ["eranns", "cfnsr"]
OWN = {"averaging": True, "mmtm": False}  # whether a modality's own opinion is of that modality alone


def exported(model: Path) -> Path:
    out = model.with_name("out.onnx")
    export.export(model, out)
    return out


@pytest.mark.parametrize("name", NAMES)
def test_onnx_gives_the_same_table(
    name: str, saved: Callable[..., Saved], by_openface: tuple[list[Clip], Clips]
) -> None:
    path, _ = saved(name)
    Card("small", corpus="studio", temperature=1.5).write(path.parent)
    clips, _ = by_openface
    model = cfnsr.load(exported(path))
    expected = predict(cfnsr.load(path, device="cpu"), clips)
    table = predict(model, clips)
    assert (expected["missing"] == "").all() and np.ptp(probabilities(expected), axis=0).max() > 1e-3
    for prefix in ("p_", "voice_", "face_"):
        np.testing.assert_allclose(probabilities(table, prefix), probabilities(expected, prefix), atol=1e-4)
    rest = [column for column in table if not str(column).startswith(("p_", "voice_", "face_", "confidence"))]
    assert table[rest].equals(expected[rest])


@pytest.mark.parametrize("name", OWN)
def test_opinion_of_one_modality_stays_if_independent(
    name: str, saved: Callable[..., Saved], by_openface: tuple[list[Clip], Clips], tmp_path: Path
) -> None:
    path, _ = saved(name, "face_mesh")
    clips, _ = by_openface
    given = [clips[0].path, without_sound(clips[0].path, tmp_path / "mute.mp4")]
    both, mute = cfnsr.load(exported(path)).predict(given).itertuples()
    assert mute.missing == "voice" and mute.emotion is None and np.isnan([mute.p_happy, mute.voice_happy]).all()
    if OWN[name]:
        assert mute.face_happy == pytest.approx(both.face_happy, abs=1e-6)
    else:
        assert np.isnan(mute.face_happy) and not np.isnan(both.face_happy)


def test_card_travels_with_the_file(tmp_path: Path, saved: Callable[..., Saved]) -> None:
    path, _ = saved("audio")
    card = Card("small", corpus="studio", labels=["a"], temperature=2.5)
    card.write(path.parent)
    alone = tmp_path / "elsewhere.onnx"
    exported(path).rename(alone)
    model = cfnsr.load(alone)
    assert model.card == card and model.modalities == ["audio"]


def test_exported_network_needs_no_training_code(audio_onnx: Path, tmp_path: Path) -> None:
    program = f"""
import sys
from cfnsr.inference.onnx_network import OnnxNetwork
OnnxNetwork({str(audio_onnx)!r})
import cfnsr.inference.exported
unneeded = ("cfnsr.training", "cfnsr.evaluation.predict", "cfnsr.models.checkpoint", "cfnsr.config", "dvc", "onnx.")
print(sorted(name for name in sys.modules if name.startswith(unneeded)))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)})
    assert done.stdout == "[]\n", done.stderr


def test_what_cannot_be_asked_is_one_line(audio_onnx: Path, tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match="computed on the CPU"):
        cfnsr.load(audio_onnx, device="cuda")
    (tmp_path / "model.pt2").touch()
    with pytest.raises(CfnsrError, match=r"is of torch\.export, which cfnsr only writes"):
        cfnsr.load(tmp_path / "model.pt2")
