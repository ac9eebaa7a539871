"""Linear classifiers on frozen encoders: a window has the features that the pipeline computes of a clip."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import cfnsr
from cfnsr.corpora import studio
from cfnsr.corpora.clip import Clip
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.evaluation.reference import Reference
from cfnsr.features import extractors, probe
from cfnsr.features.fold import FrozenFeatures
from cfnsr.features.probe import Probe
from cfnsr.runtime import model_header
from tests.inference.test_network import predict, probabilities
from tests.support import prepared
from tests.support.media import remuxed

Made = tuple[Path, Probe, extractors.FrozenEncoder]


@pytest.fixture
def made(tmp_path: Path, studio_actor: Path) -> Callable[..., Made]:
    """Write a classifier with random weights on an encoder of params.yaml; return path, classifier and encoder."""

    def make(name: str, **changes: Any) -> Made:
        section = prepared.PARAMS.frozen(name)
        encoder = extractors.load(section.extractor, section.options, name)
        clip = studio.clips(studio_actor, prepared.BAD)[0]
        layers, width = encoder.of_clip(clip, None).means.shape
        noise = np.random.default_rng(0)
        mean, scale, weights = (noise.normal(size=size) for size in (width, width, (8, width)))
        classifier = Probe(layers - 1, 1.0, mean, np.abs(scale) + 0.1, weights / width, noise.normal(size=8))
        path = tmp_path / name / "model.safetensors"
        options = {
            "speakers": {},
            "options": section.options,
            "preprocessing": prepared.preprocessing("face_mesh"),
            **changes,
        }
        trial = Trial("held_out", "fold_1", 1)
        probe.save(path, classifier, encoder.facts, studio.labels(), trial, "", **options)
        return path, classifier, encoder

    return make


@pytest.mark.parametrize("name", ["mel_statistics", "whisper_tiny", "blendshapes"])
def test_windows_have_the_features_of_clips(
    name: str, made: Callable[..., Made], by_openface: tuple[list[Clip], object]
) -> None:
    path, classifier, encoder = made(name)
    clips, _ = by_openface
    means = np.stack([encoder.of_clip(clip, None).means for clip in clips])
    expected = np.exp(classifier.predict(FrozenFeatures(encoder.facts, means, np.zeros(len(clips), np.int64))))
    model = cfnsr.load(path, device="cpu")
    table = predict(model, clips)
    assert np.ptp(expected, axis=0).max() > 1e-3
    np.testing.assert_allclose(probabilities(table), expected, atol=1e-5)
    (modality,) = model.modalities
    own = probabilities(table, {"video": "face_", "audio": "voice_"}[modality])
    np.testing.assert_allclose(own, expected, atol=1e-5)
    assert model.predict(clips[0].path)["end_s"].tolist() == [3.0]


def test_faces_are_shown_by_their_boxes(made: Callable[..., Made], studio_actor: Path) -> None:
    clip = sorted(studio_actor.glob("*.mp4"))[0]
    (row,) = cfnsr.load(made("blendshapes")[0], device="cpu").run(clip, pictures=True)
    assert row.picture is not None and row.picture.face is not None and row.picture.attention is None
    x, y, side = (round(value * row.picture.scale) for value in row.box)
    part = row.picture.frame[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2]
    colours = [picture.reshape(-1, 3).mean(axis=0) for picture in (part, row.picture.face)]
    assert row.picture.face.shape == (112, 112, 3) and np.abs(colours[0] - colours[1]).max() < 12


def test_window_within_a_file_is_a_part_of_it(made: Callable[..., Made], studio_actor: Path, tmp_path: Path) -> None:
    path, classifier, encoder = made("whisper_tiny")
    long = remuxed(tmp_path / "long.mp4", sorted(studio_actor.glob("*.mp4"))[:3])
    table = cfnsr.load(path, device="cpu").predict(long, every_s=1.5)
    means = encoder.of_clip(Clip("part", long, "", "", start_s=1.5, end_s=4.5), None).means
    expected = np.exp(classifier.predict(FrozenFeatures(encoder.facts, means[None], np.zeros(1, np.int64))))
    assert table["start_s"][1] == 1.5 and len(table) > 4
    np.testing.assert_allclose(probabilities(table)[1:2], expected, atol=1e-5)


def test_distance_is_of_the_layer_that_is_used(
    made: Callable[..., Made], by_openface: tuple[list[Clip], object]
) -> None:
    path, classifier, encoder = made("mel_statistics")
    clips, _ = by_openface
    vectors = np.stack([encoder.of_clip(clip, None).means[classifier.layer] for clip in clips])
    reference = Reference.of(vectors)
    replace(reference, distances=reference.distances - 1e-3).write(path)
    assert sorted(predict(cfnsr.load(path), clips)["distance"].round(1)) == [33.3, 66.7, 100.0]


def test_classifier_without_options_is_refused(made: Callable[..., Made]) -> None:
    path, _, _ = made("mel_statistics")
    save_file(
        load_file(path), path, {"cfnsr": '{"kind": "linear probe", "labels": [], "extractor": {}, "layer": 0, "c": 1}'}
    )
    with pytest.raises(CfnsrError, match="does not say with which options its encoder ran"):
        cfnsr.load(path)


def test_other_weights_of_the_encoder_are_refused(made: Callable[..., Made]) -> None:
    path, _, _ = made("mel_statistics")
    content = path.read_bytes()
    path.write_bytes(content.replace(b'revision\\": \\"1', b'revision\\": \\"2'))
    assert path.read_bytes() != content
    with pytest.raises(CfnsrError, match="had other weights or another revision"):
        cfnsr.load(path)


@pytest.mark.parametrize("changes", [{"labels": ["a"]}, {"options": 5}, {"extractor": 5}, {"c": "x"}], ids=str)
def test_description_of_anything_is_one_error(made: Callable[..., Made], changes: dict[str, Any]) -> None:
    path, _, _ = made("mel_statistics")
    save_file(load_file(path), path, {"cfnsr": json.dumps({**model_header.read(path), **changes})})
    with pytest.raises(CfnsrError, match=r"model\.safetensors: its "):
        cfnsr.load(path)


def test_reference_of_another_model_is_named(made: Callable[..., Made], studio_actor: Path) -> None:
    path, _, _ = made("mel_statistics")
    Reference.of(np.eye(3)).write(path)
    with pytest.raises(CfnsrError, match="describes 3 features"):
        cfnsr.load(path).predict(sorted(studio_actor.glob("*.mp4"))[0])


@pytest.mark.filterwarnings("ignore:invalid value")
def test_answer_that_is_no_number_is_refused(made: Callable[..., Made], studio_actor: Path) -> None:
    path, _, _ = made("mel_statistics")
    description = {"cfnsr": json.dumps({**model_header.read(path), "checksum": ""})}
    save_file({name: array * np.nan for name, array in load_file(path).items()}, path, description)
    with pytest.raises(CfnsrError, match="the model's answer is no number"):
        cfnsr.load(path).predict(sorted(studio_actor.glob("*.mp4"))[0])


def test_arrays_of_other_shapes_are_refused(made: Callable[..., Made]) -> None:
    path, _, _ = made("mel_statistics")
    arrays = load_file(path)
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    empty = {"weights": np.zeros((10**9, 0)), "mean": np.zeros(0), "scale": np.zeros(0)}
    for changes in ({"bias": np.zeros(1)}, {"weights": arrays["weights"][:, :-1]}, empty):
        save_file({**arrays, **changes}, path, metadata)
        with pytest.raises(CfnsrError, match="its arrays do not fit each other and its labels"):
            cfnsr.load(path)
    save_file({**arrays, "bias": -arrays["bias"]}, path, metadata)
    with pytest.raises(CfnsrError, match="its weights are damaged"):
        cfnsr.load(path)
