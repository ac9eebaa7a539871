"""Our networks against the published ones: same weights and clip, same log-probabilities."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import Tensor, nn

from cfnsr import encoders, fusion
from tests import published

TOLERANCE = 0.002
CFNSR = importlib.import_module("cfnsr.fusion.cfnsr")


def video(*, stem_relu: bool) -> encoders.Encoder:
    return encoders.build("video", 8, layers=[3, 4, 6, 3], width=64, cardinality=32, stem_relu=stem_relu)


def audio() -> encoders.Encoder:
    return encoders.build("audio", 8, coefficients=13, steps=212, dropout=0.2, head_dropout=0.4)


def cfnsr(*, stem_relu: bool) -> nn.Module:
    return fusion.build(
        "cfnsr",
        video(stem_relu=stem_relu),
        audio(),
        8,
        residual=True,
        self_attention=True,
        cross_modal=True,
        attention_layers=5,
        heads=8,
        feed_forward=256,
        attention_dropout=0.1,
        position_dropout=0.3,
        audio_dropout=0.4,
    )


@pytest.fixture(scope="module")
def clip() -> tuple[Tensor, Tensor, Tensor]:
    return published.clip()


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return published.load(cfnsr(stem_relu=False), "cfnsr")


@pytest.fixture(scope="module")
def face(network: nn.Module, clip: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    with torch.inference_mode():
        return network.video(clip[0])


@pytest.fixture
def fused(network: nn.Module, face: Tensor, clip: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch):
    """The published CFN-SR on the clip, its video trunk run once for all tests."""
    monkeypatch.setattr(network.video, "forward", lambda frames: face)

    def run() -> float:
        with torch.inference_mode():
            return published.difference(network(*clip).fused, "cfnsr")

    return run


@pytest.mark.parametrize("modality", ["video", "audio"])
def test_unimodal(modality: str, clip: tuple[Tensor, Tensor, Tensor]) -> None:
    encoder = published.load(video(stem_relu=True) if modality == "video" else audio(), modality)
    with torch.inference_mode():
        predicted = encoders.Unimodal(encoder, modality)(*clip)
    assert published.difference(predicted.fused, modality) < TOLERANCE


def test_video_without_the_stems_relu_differs(clip: tuple[Tensor, Tensor, Tensor]) -> None:
    encoder = published.load(video(stem_relu=False), "video")
    with torch.inference_mode():
        assert published.difference(encoder(clip[0]).log_softmax(dim=1), "video") > TOLERANCE


def test_cfnsr(fused) -> None:
    assert fused() < TOLERANCE


def test_cfnsr_while_gradients_are_recorded(
    network: nn.Module, face: Tensor, clip: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    # torch takes another path through its Transformer layers then.
    monkeypatch.setattr(network.video, "forward", lambda frames: face.clone())
    assert published.difference(network(*clip).fused.detach(), "cfnsr") < TOLERANCE


def test_cfnsr_with_the_stems_relu_differs(clip: tuple[Tensor, Tensor, Tensor]) -> None:
    with torch.inference_mode():
        predicted = published.load(cfnsr(stem_relu=True), "cfnsr")(*clip)
    assert published.difference(predicted.fused, "cfnsr") > TOLERANCE


def test_cfnsr_without_the_causal_mask_differs(fused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CFNSR, "future", lambda count: torch.zeros(count, count, dtype=torch.bool))
    assert fused() > TOLERANCE


def test_cfnsr_with_positions_counted_from_zero_differs(fused, monkeypatch: pytest.MonkeyPatch) -> None:
    from_one = CFNSR.positions
    # Position 0 has sines of 0 and cosines of 1.
    zero = torch.cat([torch.zeros(1, 32), torch.ones(1, 32)], dim=1)
    monkeypatch.setattr(CFNSR, "positions", lambda count, width: torch.cat([zero, from_one(count - 1, width)]))
    assert fused() > TOLERANCE


@pytest.mark.parametrize("name", ["residual", "self_attention"])
def test_cfnsr_without_one_of_its_parts_differs(
    name: str, fused, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, name, None)
    assert fused() > TOLERANCE
