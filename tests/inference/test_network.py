"""The same probabilities as the pipeline's, window for window; and what happens where a modality is missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cfnsr
from cfnsr.corpora.clip import Clip
from cfnsr.data.dataset import Clips
from cfnsr.errors import CfnsrError
from cfnsr.evaluation import module_features
from cfnsr.evaluation.missing_modality import replace_modality
from cfnsr.evaluation.predict import Predictor
from cfnsr.evaluation.reference import Reference
from cfnsr.inference.card import Card
from cfnsr.inference.model import Model
from cfnsr.preprocessing import media
from tests.inference.conftest import Saved
from tests.support import networks, prepared, zoo
from tests.support.media import numbered, remuxed, tone

NAMES = ["video", "audio", *zoo.OPTIONS]


def probabilities(table: pd.DataFrame, prefix: str = "p_") -> np.ndarray:
    return table[[column for column in table if str(column).startswith(prefix)]].to_numpy(float)


def predict(model: Model, clips: list[Clip]) -> pd.DataFrame:
    """Predict each clip in one window as long as the clip."""
    tables = [model.predict(clip.path, window_s=media.timeline(clip.path).duration_s) for clip in clips]
    return pd.concat(tables, ignore_index=True)


@pytest.mark.parametrize("name", NAMES)
def test_windows_are_predicted_as_the_pipelines_clips(
    name: str, saved: Callable[..., Saved], by_openface: tuple[list[Clip], Clips]
) -> None:
    path, network = saved(name)
    clips, arrays = by_openface
    expected = np.exp(Predictor(network, networks.NORMALISE, 2).predict(arrays))
    table = predict(cfnsr.load(path, device="cpu"), clips)
    assert len(table) == len(clips) and (table["missing"] == "").all()
    assert np.ptp(expected, axis=0).max() > 1e-3  # other arrays would give other probabilities
    np.testing.assert_allclose(probabilities(table), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["video", "cfnsr"])
def test_detected_faces_are_those_of_the_pipeline(
    name: str, saved: Callable[..., Saved], by_face_mesh: tuple[list[Clip], Clips]
) -> None:
    path, network = saved(name, "face_mesh")
    clips, arrays = by_face_mesh
    model = cfnsr.load(path, device="cpu")
    table = predict(model, clips)
    expected = np.exp(Predictor(network, networks.NORMALISE, 2).predict(arrays))
    np.testing.assert_allclose(probabilities(table), expected, atol=1e-5)
    assert model.predict(clips[0].path).attrs["landmarks"] == {str(clips[0].path): "face_mesh"}
    assert (table["person"] == 0).all() and table["box_side"].between(50, 300).all()


def without_sound(path: Path, out: Path) -> Path:
    return remuxed(out, [path], keep=lambda packet: packet.stream.type == "video")


def test_what_is_missing_is_said(saved: Callable[..., Saved], studio_actor: Path, tmp_path: Path) -> None:
    path, _ = saved("averaging", "face_mesh")
    model = cfnsr.load(path, device="cpu")
    whole = sorted(studio_actor.glob("*.mp4"))[0]
    given = [
        whole,
        without_sound(whole, tmp_path / "mute.mp4"),
        numbered(tmp_path / "nobody.mp4", frames=60, sound_s=None),
        tone(tmp_path / "tone.wav", pitch_hz=220, length_s=3),
    ]
    both, mute, nobody, steady_tone = model.predict(given).itertuples()
    assert [row.missing for row in (both, mute, nobody, steady_tone)] == ["", "voice", "face voice", "face voice"]
    reasons = [
        "",
        "voice: the file has no sound",
        "face: nobody is seen; voice: the file has no sound",
        "face: the file has no picture; voice: nobody speaks",
    ]
    assert [row.why for row in (both, mute, nobody, steady_tone)] == reasons
    assert mute.emotion is not None and np.isnan(mute.voice_happy) and mute.face_happy == pytest.approx(both.face_happy)
    assert nobody.emotion is None and np.isnan(nobody.p_happy) and np.isnan([nobody.person, nobody.box_x]).all()
    assert np.isnan(steady_tone.confidence) and steady_tone.start_s == 0


def test_one_modality_is_read_as_if_alone(saved: Callable[..., Saved], studio_actor: Path, tmp_path: Path) -> None:
    model = cfnsr.load(saved("averaging", "face_mesh")[0], device="cpu")
    whole = sorted(studio_actor.glob("*.mp4"))[0]
    face = model.predict(whole, only="face")
    assert (face["missing"] == "voice").all()
    mute = model.predict(without_sound(whole, tmp_path / "mute.mp4"))
    np.testing.assert_allclose(probabilities(face), probabilities(mute)[: len(face)])
    voice = model.predict(whole, only="voice")
    assert (voice["missing"] == "face").all() and voice["person"].isna().all()
    assert np.abs(probabilities(voice) - probabilities(face)).max() > 1e-3
    with pytest.raises(CfnsrError, match="and the model reads voice"):
        cfnsr.load(saved("audio")[0], device="cpu").predict(whole, only="face")


def test_missing_modality_is_replaced_by_its_mean(
    saved: Callable[..., Saved], by_openface: tuple[list[Clip], Clips], tmp_path: Path
) -> None:
    path, network = saved("concat")
    clips, arrays = by_openface
    mute = without_sound(clips[0].path, tmp_path / "mute.mp4")
    shutil.copy(clips[0].path.with_suffix(".csv"), mute.with_suffix(".csv"))
    duration_s = media.timeline(clips[0].path).duration_s
    (row,) = cfnsr.load(path, device="cpu").predict(mute, window_s=duration_s).itertuples()
    assert row.missing == "voice" and row.emotion is None
    predictor = Predictor(network, networks.NORMALISE, 4)
    reference = module_features.describe(network, predictor.batches(arrays))
    reference.write(path)
    table = cfnsr.load(path, device="cpu").predict(mute, window_s=duration_s)
    with replace_modality(network, "audio", reference.means):
        expected = np.exp(predictor.predict(arrays))[:1]
    np.testing.assert_allclose(probabilities(table), expected, atol=1e-5)
    assert np.isnan(table["distance"][0])  # of a part of the features, no distance of the training clips is known


def test_distance_is_that_of_the_clip(saved: Callable[..., Saved], by_openface: tuple[list[Clip], Clips]) -> None:
    path, network = saved("cfnsr")
    clips, arrays = by_openface
    batches = Predictor(network, networks.NORMALISE, 4).batches(arrays)
    reference = module_features.describe(network, batches)
    order = np.argsort(np.argsort(reference.distances))
    replace(reference, distances=reference.distances + 1e-3).write(path)
    table = predict(cfnsr.load(path, device="cpu"), clips)
    np.testing.assert_allclose(table["distance"], 100 * order / len(clips), atol=0.1)
    replace(reference, mean=reference.mean + 100).write(path)
    assert predict(cfnsr.load(path, device="cpu"), clips[:1])["far"].all()


def test_temperature_softens_all_probabilities(
    saved: Callable[..., Saved], by_openface: tuple[list[Clip], Clips]
) -> None:
    path, _ = saved("averaging")
    clips, _ = by_openface
    before = predict(cfnsr.load(path, device="cpu"), clips[:1])
    Card("small", temperature=2.0).write(path.parent)
    after = predict(cfnsr.load(path, device="cpu"), clips[:1])
    for prefix in ("p_", "voice_", "face_"):
        softer = np.sqrt(probabilities(before, prefix))
        np.testing.assert_allclose(probabilities(after, prefix), softer / softer.sum(), atol=1e-6)


def test_network_on_sequences_is_refused(saved: Callable[..., Saved]) -> None:
    encoders = {"audio": {"name": "sequence", "channels": 4, "dropout": 0.0}}
    path, _ = saved("audio", encoders=encoders, inputs={"audio_sequence": [6, 12]})
    with pytest.raises(CfnsrError, match="reads audio_sequence, and does not name the frozen encoder"):
        cfnsr.load(path)


def test_network_without_preprocessing_is_refused(saved: Callable[..., Saved]) -> None:
    path, _ = saved("audio", preprocessing={})
    with pytest.raises(CfnsrError, match=r"lacks preprocessing\.extract"):
        cfnsr.load(path)


def test_reference_of_other_modules_is_named(saved: Callable[..., Saved]) -> None:
    path, _ = saved("audio")
    Reference.of(np.eye(3), ["nothing.here"]).write(path)
    with pytest.raises(CfnsrError, match=r"reference\.safetensors: describes nothing\.here"):
        cfnsr.load(path)


def test_preprocessing_of_anything_is_one_error(saved: Callable[..., Saved]) -> None:
    preprocessing = prepared.preprocessing("openface")
    path, _ = saved("audio", preprocessing={**preprocessing, "extract": {**preprocessing["extract"], "window_s": None}})
    with pytest.raises(CfnsrError, match="its description cannot be used"):
        cfnsr.load(path)
