"""Networks on frozen encoders' output over time: a window has the sequences that the pipeline stores of a clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cfnsr
from cfnsr.corpora import studio
from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.features import extractors, fold
from cfnsr.features.fold import FoldFeatures, FrozenFeatures
from cfnsr.inference import export
from cfnsr.models import checkpoint
from cfnsr.models.spec import ModelSpec
from cfnsr.models.types import Batch
from tests.inference.test_network import predict, probabilities, without_sound
from tests.support import networks, prepared

ROWS = {"audio": {"audio": "mel_statistics"}, "video": {"video": "blendshapes"}}
ROWS["concat"] = ROWS["video"] | ROWS["audio"]
STEPS = 6


@pytest.fixture(scope="module")
def sequences(by_openface: tuple[list[Clip], object]) -> dict[str, tuple[FrozenFeatures, dict[str, Any]]]:
    """Return by encoder what the stage `features` stores of the clips, and the section that it ran with."""
    clips, _ = by_openface
    made = {}
    for name in ("mel_statistics", "blendshapes"):
        section = prepared.PARAMS.frozen(name).model_dump() | {"sequence": {"layer": 0, "steps": STEPS}}
        encoder = extractors.load(section["extractor"], section["options"], name)
        features = [encoder.of_clip(clip, None).with_sequence(**section["sequence"], where="") for clip in clips]
        means, layers = np.stack([each.means for each in features]), np.stack([each.layers[0] for each in features])
        made[name] = FrozenFeatures(encoder.facts, means, np.zeros(len(clips), np.int64), layers), section
    return made


@pytest.fixture
def model(sequences: dict[str, tuple[FrozenFeatures, dict[str, Any]]], tmp_path: Path) -> Any:
    """Write a network with random weights, as its stage describes it; return path, and log-probabilities."""

    def write(name: str) -> tuple[Path, np.ndarray]:
        of = {modality: sequences[encoder] for modality, encoder in ROWS[name].items()}
        arrays = {f"{modality}_sequence": features.sequences for modality, (features, _) in of.items()}

        def build() -> tuple[torch.nn.Module, ModelSpec]:
            spec = ModelSpec(
                name=name,
                labels=studio.labels(),
                encoders={modality: {"name": "sequence", "channels": 8, "dropout": 0.1} for modality in of},
                options=networks.OPTIONS.get(name, {}),
                inputs={array: list(values.shape[1:]) for array, values in arrays.items() if values is not None},
                **{"protocol": "held_out", "fold": "fold_1", "seed": 1, "data": "", "imported": []},
                pixels=networks.PIXELS,
                preprocessing=prepared.preprocessing("face_mesh"),
            )
            torch.manual_seed(7)
            return spec.build().eval(), spec

        folds = {modality: FoldFeatures(features, None, features) for modality, (features, _) in of.items()}
        sections = {modality: section for modality, (_, section) in of.items()}
        network, spec = fold.describing_encoders(build, folds, sections)()
        path = tmp_path / name / "model.safetensors"
        checkpoint.save(path, network, spec)
        tensors = {array: torch.from_numpy(values) for array, values in arrays.items()}
        with torch.no_grad():
            prediction = network(Batch(tensors, torch.zeros(len(tensors[min(tensors)]), dtype=torch.int64)))
        return path, prediction.fused.numpy()

    return write


@pytest.mark.parametrize("name", ROWS)
def test_windows_have_the_sequences_of_clips(name: str, model: Any, by_openface: tuple[list[Clip], object]) -> None:
    path, expected = model(name)
    clips, _ = by_openface
    loaded = cfnsr.load(path, device="cpu")
    table = predict(loaded, clips)
    assert loaded.modalities == list(ROWS[name]) and (table["missing"] == "").all()
    assert np.ptp(expected, axis=0).max() > 1e-3  # other sequences would give other probabilities
    np.testing.assert_allclose(probabilities(table), np.exp(expected), atol=1e-5)
    assert loaded.predict(clips[0].path)["end_s"].tolist() == [3.0]


def test_exported_network_takes_sequences(model: Any, by_openface: tuple[list[Clip], object], tmp_path: Path) -> None:
    path, expected = model("concat")
    export.export(path, tmp_path / "out.onnx")
    clips, _ = by_openface
    loaded = cfnsr.load(tmp_path / "out.onnx")
    np.testing.assert_allclose(probabilities(predict(loaded, clips)), np.exp(expected), atol=1e-4)
    (mute,) = loaded.predict(without_sound(clips[0].path, tmp_path / "mute.mp4")).itertuples()
    assert mute.missing == "voice" and mute.emotion is None


def test_other_encoder_than_in_training_is_refused(model: Any) -> None:
    path, _ = model("audio")
    content = path.read_bytes()
    path.write_bytes(content.replace(b'revision\\": \\"1', b'revision\\": \\"2'))
    assert path.read_bytes() != content
    with pytest.raises(CfnsrError, match="mel_statistics had other weights or another revision"):
        cfnsr.load(path)
