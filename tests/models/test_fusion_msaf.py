"""MSAF, by hand-computed numbers."""

from __future__ import annotations

import math
from importlib import import_module

import pytest
import torch
from torch import nn

from cfnsr.errors import CfnsrError
from tests.support.zoo import clips, small_scale

MSAF = import_module("cfnsr.models.fusion.msaf")


def attention() -> nn.Module:
    return MSAF.SplitAttention((4, 3), width=2, reduction=1, dropout=0.0).eval()


def test_split_attention_by_hand() -> None:
    site = attention()
    assert site.blocks == [2, 2]
    nn.init.eye_(site.joint.weight), nn.init.zeros_(site.joint.bias)
    nn.init.zeros_(site.scores.weight), nn.init.zeros_(site.scores.bias)
    # Of the first block's first channel the score is the descriptor's first: ln 3 more than that of the others.
    site.scores.weight.data[0, 0] = 1.0
    level = math.log(3) * math.sqrt(1 + site.norm.eps)
    video = torch.tensor([level, 0.0, 0.0, 5.0]).view(1, 4, 1, 1, 1)
    audio = torch.tensor([[0.0], [1.0], [0.0]]).view(1, 3, 1)
    weighted_video, weighted_audio = site(video, audio)
    assert weighted_video.flatten().tolist() == pytest.approx([level * 3 / 6, 0, 0, 5 / 4])
    assert weighted_audio.flatten().tolist() == pytest.approx([0, 1 / 4, 0])


def test_descriptor_is_the_mean_sum_of_blocks() -> None:
    site, descriptors = attention(), []
    site.joint.register_forward_pre_hook(lambda module, inputs: descriptors.append(inputs[0]))
    video, audio = torch.randn(2, 4, 3, 2, 2), torch.randn(2, 3, 5)
    site(video, audio)
    expected = (video[:, :2] + video[:, 2:]).mean(dim=(2, 3, 4)) + audio[:, :2].mean(dim=2)
    expected[:, 0] += audio[:, 2].mean(dim=1)  # audio's last block has one channel and a zero
    torch.testing.assert_close(descriptors[0], expected)


def test_attention_sums_to_one_over_all_blocks() -> None:
    site = MSAF.SplitAttention((32, 20), width=8, reduction=2, dropout=0.0).eval()
    weights = site.weights(torch.randn(3, 4, 8, 6), torch.randn(3, 3, 8, 5))
    assert weights.shape == (3, 7, 8) and weights.std() > 0
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3, 8))


def test_training_drops_whole_blocks() -> None:
    torch.manual_seed(0)
    site = MSAF.SplitAttention((64, 8), width=4, reduction=1, dropout=0.2).train()
    blocks = torch.ones(50, 16, 4, 6)
    kept = site.drop_blocks(blocks).flatten(2)
    assert torch.equal(kept.amin(dim=2), kept.amax(dim=2))
    assert sorted(kept.unique().tolist()) == pytest.approx([0, 1.25])
    assert (kept == 0).float().mean().item() == pytest.approx(0.2, abs=0.05)
    assert torch.equal(site.eval().drop_blocks(blocks), blocks)


def test_kept_blocks_are_scaled_up_once() -> None:
    torch.manual_seed(0)
    site = MSAF.SplitAttention((8, 8), width=4, reduction=1, dropout=0.2).train()
    nn.init.zeros_(site.scores.weight), nn.init.zeros_(site.scores.bias)
    weighted_video, _ = site(torch.ones(40, 8, 1, 1, 1), torch.ones(40, 8, 1))
    assert sorted(weighted_video.unique().tolist()) == pytest.approx([0, 1.25 / 4])


def test_logits_of_both_heads_are_added() -> None:
    network, batch = small_scale("msaf").eval(), clips(2)
    predicted = network(batch)
    torch.testing.assert_close(predicted.fused, (predicted.video + predicted.audio).log_softmax(dim=1))


@pytest.mark.parametrize("widths", [[16], [16, 3], [16, 32, 64]])
def test_impossible_widths_are_an_error(widths: list[int]) -> None:
    with pytest.raises(CfnsrError, match=r"msaf\.options\.widths"):
        small_scale("msaf", widths=widths)


def test_dropping_all_blocks_is_an_error() -> None:
    with pytest.raises(CfnsrError, match=r"msaf\.options\.block_dropout: 1\.0"):
        small_scale("msaf", block_dropout=1.0)
