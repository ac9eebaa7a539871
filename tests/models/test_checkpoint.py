"""Models on disk: weights and description in one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cfnsr.errors import CfnsrError
from cfnsr.models import checkpoint, fusion
from cfnsr.models.spec import ModelSpec
from tests.support import zoo
from tests.support.memory import at_most
from tests.support.zoo import clips


@pytest.mark.parametrize("name", ["video", "audio", *fusion.names()])
def test_a_loaded_model_predicts_the_same(name: str, tmp_path: Path) -> None:
    spec, batch = zoo.spec(name), clips(2)
    network = spec.build().train()
    network(batch)  # so that BatchNorm's statistics are not those at the start
    checkpoint.save(tmp_path / "model.safetensors", network, spec)
    loaded = checkpoint.load(tmp_path / "model.safetensors")
    assert not loaded.training and checkpoint.read_spec(tmp_path / "model.safetensors") == spec
    with torch.inference_mode():
        assert torch.equal(loaded(batch).fused, network.eval()(batch).fused)


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    spec = zoo.spec("audio")
    checkpoint.save(tmp_path / "audio.safetensors", spec.build(), spec)
    return tmp_path / "audio.safetensors"


def test_the_same_model_gives_the_same_bytes(audio: Path, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "again.safetensors", checkpoint.load(audio), checkpoint.read_spec(audio))
    assert (tmp_path / "again.safetensors").read_bytes() == audio.read_bytes()


def test_the_encoder_of_a_unimodal_model(audio: Path, tmp_path: Path) -> None:
    encoder, network = checkpoint.load_encoder(audio), checkpoint.load(audio)
    assert encoder.reads == "mfcc"
    for name, weights in encoder.state_dict().items():
        assert torch.equal(weights, network.state_dict()[f"encoder.{name}"])
    spec = zoo.spec("averaging")
    checkpoint.save(tmp_path / "fused.safetensors", spec.build(), spec)
    with pytest.raises(CfnsrError, match=r"fused\.safetensors: is not a unimodal model"):
        checkpoint.load_encoder(tmp_path / "fused.safetensors")


def test_files_that_are_no_models_are_errors(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("weights")
    save_file({"weights": torch.zeros(1)}, tmp_path / "other")
    save_file({"weights": torch.zeros(1)}, tmp_path / "empty", metadata={"cfnsr": "{}"})
    for name, message in (
        ("absent", "cannot be read as safetensors"),
        ("text", "cannot be read as safetensors"),
        ("other", "is safetensors, but not a model of cfnsr"),
        ("empty", "its description cannot be read"),
    ):
        with pytest.raises(CfnsrError, match=f"{name}: {message}"):
            checkpoint.load(tmp_path / name)


def test_weights_of_another_size_are_an_error(audio: Path, tmp_path: Path) -> None:
    other = replace(checkpoint.read_spec(audio), inputs={"mfcc": [13, 100]})
    checkpoint.save(tmp_path / "other.safetensors", checkpoint.load(audio), other)
    with pytest.raises(CfnsrError, match=r"other\.safetensors: tensors do not fit"):
        checkpoint.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_weights_with_a_flipped_bit_are_refused(audio: Path, tmp_path: Path, share: float) -> None:
    content = bytearray(audio.read_bytes())
    begin = 8 + int.from_bytes(content[:8], "little")
    content[begin + int(share * (len(content) - begin))] ^= 1
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(CfnsrError, match=r"its weights are damaged\. Run `cfnsr check --deep --mend`"):
        checkpoint.load(tmp_path / "model.safetensors")


def described(path: Path, spec: ModelSpec) -> Path:
    """Write a description whose network is not in the file."""
    save_file({"weights": torch.zeros(1)}, path, metadata={"cfnsr": spec.to_json()})
    return path


def test_a_small_file_takes_no_memory(tmp_path: Path) -> None:
    fused = zoo.spec("concat")
    for name, spec, message in (
        ("wide", replace(fused, options={"hidden": 2**20, "dropout": 0.5}), "tensors do not fit: .* is missing"),
        (
            "deep",
            replace(fused, encoders={**fused.encoders, "video": {**fused.encoders["video"], "layers": [2**20] * 4}}),
            "with more of them",
        ),
    ):
        with at_most(megabytes=200), pytest.raises(CfnsrError, match=f"{name}: .*{message}"):
            checkpoint.load(described(tmp_path / name, spec))
