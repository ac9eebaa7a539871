"""ERANNs, by hand-computed numbers."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cfnsr.errors import CfnsrError
from tests.support.zoo import MELS, STEPS, clips, small_scale

ERANNS = import_module("cfnsr.models.fusion.eranns")


def only_middle(convolution: nn.Conv2d, value: float) -> None:
    nn.init.zeros_(convolution.weight)
    convolution.weight.data[0, 0, 1, convolution.kernel_size[1] // 2] = value


def test_a_block_by_hand() -> None:
    block = ERANNS.Block(1, 1, stride=(1, 1), slope=0.1).eval()
    only_middle(block.conv1, 2.0)
    only_middle(block.conv2, -3.0)
    outputs = block(torch.tensor([4.0, -5.0]).view(1, 1, 1, 2)).flatten().tolist()
    # 4 -> 8 -> -24, and 4; -5 -> leaky -0.5 -> -1 -> leaky -0.1 -> 0.3, and -5.
    assert outputs == pytest.approx([-20, -4.7], rel=1e-4)


def test_shortcut_is_identity_if_the_shape_stays() -> None:
    assert not len(ERANNS.Block(4, 4, stride=(1, 1), slope=0.1).shortcut)
    assert len(ERANNS.Block(4, 8, stride=(1, 1), slope=0.1).shortcut)
    assert len(ERANNS.Block(4, 4, stride=(2, 2), slope=0.1).shortcut)


def test_stages_halve_the_size_and_double_channels() -> None:
    network, features = small_scale("eranns"), torch.zeros(1, 1, MELS, STEPS)
    shapes = []
    for stage in network.stages:
        features = stage(features)
        shapes.append(tuple(features.shape[1:]))
    assert shapes == [(8, 128, 212), (16, 64, 106), (32, 32, 53), (64, 16, 27), (128, 8, 14)]


@given(st.integers(1, 3), st.integers(1, 90))
def test_long_strides_fit_any_length(long: int, steps: int) -> None:
    network = small_scale("eranns", long_strides=long, depth=1).eval()
    features, strides = torch.zeros(1, 1, 16, steps), [1] + [4] * long + [2] * (4 - long)
    for stage, stride in zip(network.stages, strides, strict=True):
        before, features = features.shape[3], stage(features)
        assert features.shape[3] == -(-before // stride)


def test_head_reads_mean_plus_maximum() -> None:
    network = small_scale("eranns").eval()
    batch = clips(2)
    features = network.stages(batch["mel"][:, None])
    pooled = features.mean(dim=(2, 3)) + features.amax(dim=(2, 3))
    expected = network.classifier(pooled).log_softmax(dim=1)
    torch.testing.assert_close(network(batch).fused, expected)


@pytest.mark.parametrize("long", [-1, 4])
def test_too_many_long_strides_are_an_error(long: int) -> None:
    with pytest.raises(CfnsrError, match=r"eranns\.options\.long_strides"):
        small_scale("eranns", long_strides=long)


def test_no_blocks_are_an_error() -> None:
    with pytest.raises(CfnsrError, match=r"eranns\.options\.depth: 0"):
        small_scale("eranns", depth=0)
