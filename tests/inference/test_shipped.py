"""The models that come with cfnsr: small, packaged, and with the figures that users must see."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from cfnsr.evaluation.reference import FAR, Reference
from cfnsr.inference.card import NOT_FOR, Card, shipped
from cfnsr.runtime import model_header


@pytest.fixture
def model() -> Path:
    (path,) = [path for path in shipped() if path.parent.name == "voice_emodb"]
    return path


def test_shipped_model_is_under_100_kb(model: Path) -> None:
    assert 0 < sum(path.stat().st_size for path in model.parent.iterdir()) < 100_000


def test_shipped_files_are_packaged(root: Path, model: Path) -> None:
    setuptools = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    package = root / "cfnsr/inference"
    packaged = {path for pattern in setuptools["package-data"]["cfnsr.inference"] for path in package.glob(pattern)}
    assert packaged == {path for path in (package / "shipped").rglob("*") if path.is_file()}


def test_shipped_weights_fit_what_they_say(model: Path) -> None:
    described, card, arrays = model_header.read(model), Card.of(model), load_file(model)
    assert described["kind"] == "linear probe" and described["options"] == {"max_s": 30.0}
    assert described["labels"] == card.labels and arrays["weights"].shape == (len(card.labels), 384)
    assert described["extractor"]["name"] == card.row == "whisper_tiny"
    reference = Reference.beside(model)
    assert reference is not None and len(reference.distances) == card.trained_clips == 535
    assert np.array_equal(reference.mean, arrays["mean"]) and np.array_equal(reference.std, arrays["scale"])
    assert reference.percentile(arrays["mean"][None] + 3 * arrays["scale"])[0] >= FAR


def test_shipped_card_has_both_figures(model: Path) -> None:
    card = Card.of(model)
    assert (card.name, card.corpus, card.language, card.not_for) == ("voice_emodb", "emodb", "German", NOT_FOR)
    assert card.held_out is not None and card.held_out.ci_low < card.held_out.accuracy < card.held_out.ci_high
    (cross,) = card.cross
    assert (cross.trained_on, cross.corpus, len(cross.emotions)) == ("emodb", "ravdess_speech", 6)
    assert cross.chance < cross.accuracy < card.held_out.accuracy
    assert "CC0" in card.licence and "MIT" in card.licence
