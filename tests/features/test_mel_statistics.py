from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.features import extractors
from cfnsr.features.files import ClipFeatures
from cfnsr.preprocessing import audio, media
from tests.support.media import tone

OPTIONS: dict[str, Any] = {
    "coefficients": 40,
    "mels": 128,
    "n_fft": 2048,
    "hop": 512,
    "rate_hz": 22050,
    "max_s": 30.0,
}


def of_clip(clip: Clip, **changes: Any) -> ClipFeatures:
    extractor = extractors.load("mel_statistics", {**OPTIONS, **changes}, "features.mel_statistics")
    ((_, result),) = extractor.features([clip], {})
    if isinstance(result, CfnsrError):
        raise result
    return result


def test_statistics_are_those_of_the_cepstra(tmp_path: Path) -> None:
    path = tone(tmp_path / "clip.wav", pitch_hz=440, rate_hz=22050, length_s=2.0)
    found = of_clip(Clip("clip", path, "01", "sad"))
    samples, _ = audio.waveform(path, media.sound_timeline(path), rate_hz=22050, offset_s=0.0, window_s=2.0)
    analysis = {key: value for key, value in OPTIONS.items() if key not in ("rate_hz", "max_s")}
    cepstra = audio.features(samples, rate_hz=22050, top_db=80.0, **analysis)["mfcc"]
    assert found.means.shape == (1, 80) and found.means.dtype == np.float32
    assert np.allclose(found.means[0], np.concatenate([cepstra.mean(axis=1), cepstra.std(axis=1)]), atol=1e-3)
    assert found.seconds == pytest.approx(2.0, abs=0.001)


def test_only_the_clips_part_is_heard(tmp_path: Path) -> None:
    path = tone(tmp_path / "call.wav", pitch_hz=440, length_s=3.0)
    assert of_clip(Clip("part", path, "01", "sad", start_s=1.0, end_s=1.5)).seconds == pytest.approx(0.5, abs=0.01)
    assert of_clip(Clip("long", path, "01", "sad"), max_s=2.0).seconds == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"coefficients": 200}, "200 coefficients of 128 mels"),
        ({"rate": 1}, r"features\.mel_statistics\.options\.rate: unknown option"),
        ({"max_s": "long"}, r"features\.mel_statistics\.options\.max_s: Input should be a valid number"),
    ],
)
def test_impossible_options_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(CfnsrError, match=problem):
        extractors.load("mel_statistics", {**OPTIONS, **changes}, "features.mel_statistics")


def test_unknown_extractor_is_named() -> None:
    with pytest.raises(CfnsrError, match=r"features\.x\.extractor: there is no extractor 'none'. Choose one of: "):
        extractors.load("none", {}, "features.x")
