"""3D ResNeXt: sizes as published, and its arithmetic in half precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from cfnsr.errors import CfnsrError
from cfnsr.models import encoders
from cfnsr.models.encoders.video.resnext3d import Bottleneck
from tests.support.zoo import ENCODERS, SMALLER_ENCODERS, clips, encoder


def small(**options: Any) -> encoders.Encoder:
    return encoder("video", {**SMALLER_ENCODERS["video"], **options}).eval()


def test_sizes_at_paper_scale() -> None:
    with torch.device("meta"):
        network = encoder("video", ENCODERS["video"])
        assert sum(parameter.numel() for parameter in network.parameters()) == 25_882_056
        assert (network.channels, network.dim) == ([64, 256, 512, 1024, 2048], 2048)
        first, last = network.segments(-2, -1)
        features = first(torch.empty(1, 3, 30, 224, 224))
        assert features.shape == (1, 1024, 4, 14, 14)
        assert last(features).shape == (1, 2048, 2, 7, 7)


def test_any_number_of_frames_and_any_size() -> None:
    assert small()(torch.randn(2, 3, 5, 40, 48)).shape == (2, 8)


def test_channels_last_changes_nothing() -> None:
    network, frames = small(), clips(2)["frames"]
    expected = network(frames)
    network.to(memory_format=torch.channels_last_3d)
    actual = network(frames.contiguous(memory_format=torch.channels_last_3d))
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_stem_relu_cuts_negative_values() -> None:
    stems = {relu: small(stem_relu=relu).stages[0] for relu in (True, False)}
    nn.init.constant_(stems[False].norm.bias, -3)  # else each maximum of the pooling would be positive
    stems[True].load_state_dict(stems[False].state_dict())
    without, with_relu = (stems[relu](clips(2)["frames"]) for relu in (False, True))
    assert without.min() < 0
    # The pooling takes maxima, so a ReLU before it equals one after it.
    torch.testing.assert_close(with_relu, without.relu())


@pytest.mark.parametrize("layers", [[1, 1, 1], [1, 0, 1, 1]])
def test_impossible_layers_are_errors(layers: list[int]) -> None:
    with pytest.raises(CfnsrError, match=r"encoders\.video\.options\.layers"):
        small(layers=layers)


@pytest.mark.parametrize("planes", [32, 64, 128, 256, 512])
def test_joined_groups_give_output_and_gradient(planes: int) -> None:
    torch.manual_seed(0)
    block = Bottleneck(8, planes, stride=1, cardinality=8)
    inner = torch.randn(2, block.conv2.in_channels, 3, 8, 8)
    outputs, gradients = [], []
    for joins in (True, False):  # groups are joined in training only
        block.train(joins).zero_grad()
        outputs.append(block.middle_convolution(inner))
        outputs[-1].square().sum().backward()
        gradients.append(block.conv2.weight.grad.clone())
    torch.testing.assert_close(*outputs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(*gradients, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
@pytest.mark.parametrize("planes", [32, 64, 128, 256, 512])
@pytest.mark.parametrize(("stride", "side"), [(1, 16), (1, 1), (2, 16), (2, 2), (2, 1)])
def test_half_precision_has_the_gradient_of_fp32(frames: int, planes: int, stride: int, side: int) -> None:
    """Some gradients of oneDNN are wrong: docs/decisions/0006-half-precision.md."""
    torch.manual_seed(0)
    block = Bottleneck(8, planes, stride=stride, cardinality=8)
    block.conv2.to(memory_format=torch.channels_last_3d)
    inner = torch.randn(4, block.conv2.in_channels, frames, side, side).bfloat16().float()
    inner = inner.contiguous(memory_format=torch.channels_last_3d)
    weights = torch.randn_like(block.middle_convolution(inner))

    def gradient(half: bool) -> torch.Tensor:
        block.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            output = block.middle_convolution(inner.bfloat16() if half else inner)
        (output.float() * weights).sum().backward()
        return block.conv2.weight.grad.clone()

    full, half = gradient(False), [gradient(True) for _ in range(3)]
    assert torch.equal(half[0], half[1]) and torch.equal(half[0], half[2])
    assert (half[0] - full).norm() < 0.03 * full.norm()
