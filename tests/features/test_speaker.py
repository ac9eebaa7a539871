"""Resemblyzer's real weights."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cfnsr.corpora.studio.prepare import design, identity, speech
from cfnsr.errors import CfnsrError
from cfnsr.features import extractors
from cfnsr.features.extractors import FrozenEncoder, speaker
from cfnsr.runtime import package_files
from tests.support import sounds

# By Resemblyzer 0.1.4, of the same sound, without its detector of speech.
GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "speaker_chirp.npz")


@pytest.fixture(scope="module")
def extractor() -> FrozenEncoder:
    return extractors.load("speaker", {"max_s": 30.0}, "features.speaker")


def embedding(extractor: FrozenEncoder, path: Path, samples: np.ndarray) -> np.ndarray:
    (features,) = sounds.features(extractor, [sounds.clip(path, samples)]).values()
    return features.means[0]


@pytest.mark.parametrize(("name", "loudness", "apart"), [("loud", 1.0, 1e-4), ("quiet", 0.01, 1e-3)])
def test_embedding_equals_resemblyzers(
    extractor: FrozenEncoder, tmp_path: Path, name: str, loudness: float, apart: float
) -> None:
    # The quiet sound has 300 steps of 16 bits.
    found = embedding(extractor, tmp_path / "chirp.wav", sounds.chirp(48000) * np.float32(loudness))
    assert np.abs(found - GOLDEN[name]).max() < apart
    assert "resemblyzer" not in sys.modules


@pytest.mark.parametrize(
    ("seconds", "number"), [(0.2, 1), (1.6, 1), (1.9, 1), (2.0, 2), (2.8, 3), (3.6, 4), (30.0, 38)]
)
def test_windows_cover_the_clip(seconds: float, number: int) -> None:
    windows = speaker.windows(torch.from_numpy(sounds.chirp(round(seconds * sounds.RATE_HZ))))
    assert windows.shape == (number, 160, 40)


def test_voice_is_known_in_another_sentence(extractor: FrozenEncoder, tmp_path: Path) -> None:
    def say(sentence: int, actor: str) -> np.ndarray:
        samples = speech.speak(sentence, identity.of(actor, seed=1), design.VOICES["level"], sounds.RATE_HZ)
        return embedding(extractor, tmp_path / f"{actor}-{sentence}.wav", samples)

    man, woman = ([say(sentence, actor) for sentence in (1, 2)] for actor in ("01", "02"))
    assert min(man[0] @ man[1], woman[0] @ woman[1]) > 0.1 + max(man[0] @ woman[1], woman[0] @ man[1])


def test_features_are_of_the_clip_alone(extractor: FrozenEncoder, tmp_path: Path) -> None:
    clips = [sounds.clip(tmp_path / f"{number}.wav", sounds.chirp(40000 + number)) for number in range(2)]
    found = sounds.features(extractor, clips)
    for clip in clips:
        (windows,) = found[clip.id].layers
        assert found[clip.id].means.shape == (1, 256) and windows.shape == (2, 256)
        assert np.linalg.norm(found[clip.id].means) == pytest.approx(1)
        mean = windows.mean(axis=0)
        assert np.abs(mean / np.linalg.norm(mean) - found[clip.id].means[0]).max() < 1e-6
        assert np.array_equal(sounds.features(extractor, [clip])[clip.id].means, found[clip.id].means)


def test_facts_name_weights_and_licence(extractor: FrozenEncoder) -> None:
    facts = extractor.facts
    assert (facts.licence, facts.trained_on) == ("Apache-2.0", ("librispeech", "voxceleb1", "voxceleb2"))
    assert (facts.modality, facts.parameters, facts.rate_hz) == ("audio", 1_423_616, 16000)


def test_missing_weights_are_named_with_their_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_files, "find_spec", lambda _: None)
    with pytest.raises(CfnsrError, match=r"which is missing\. Run `pip install --no-deps Resemblyzer==0\.1\.4`"):
        extractors.load("speaker", {"max_s": 30.0}, "features.speaker")
