"""CFN-SR, by hand-computed numbers."""

from __future__ import annotations

import math
from importlib import import_module

import pytest
import torch
from torch import nn

from tests.support.zoo import clips, paper_scale, small_scale

CFNSR = import_module("cfnsr.models.fusion.cfnsr")


def test_cross_modal_attention_by_hand() -> None:
    attention = CFNSR.CrossModalAttention(video=1, audio=1)
    for weights, value in [
        (attention.video.weight, 1.0),
        (attention.video.bias, 0.0),
        (attention.audio.weight, 2.0),
        (attention.score.weight, 2.0),
        (attention.score.bias, 7.0),
    ]:
        nn.init.constant_(weights, value)
    # Cells of 0 and of x, context 0.05: the scores 2 tanh(0.1) and 2 tanh(x + 0.1) are ln 3 apart.
    x = math.atanh(math.log(3) / 2 + math.tanh(0.1)) - 0.1
    video = torch.tensor([[0.0, x], [x, 0.0]]).view(1, 1, 2, 1, 2)
    expected = torch.tensor([[0.25, 0.75], [0.75, 0.25]]).view(1, 2, 1, 2)
    torch.testing.assert_close(attention(video, torch.tensor([[0.05]])), expected)


def test_attention_sums_to_one_at_each_moment() -> None:
    attention = CFNSR.CrossModalAttention(video=6, audio=4)(10 * torch.randn(3, 6, 2, 5, 4), torch.randn(3, 4))
    assert attention.shape == (3, 2, 5, 4)
    torch.testing.assert_close(attention.sum(dim=(2, 3)), torch.ones(3, 2))


@pytest.mark.parametrize(("residual", "factor"), [(True, 1.25), (False, 0.25)])
def test_uniform_attention_scales_the_video(residual: bool, factor: float) -> None:
    network, batch = small_scale("cfnsr", residual=residual).eval(), clips(2)
    nn.init.zeros_(network.cross_modal.score.weight)
    video, audio = network.video(batch["frames"]), network.audio(batch["mfcc"])
    assert video.shape[-2:] == (2, 2)  # so that each cell gets a quarter
    logits = network.classifier(torch.cat([factor * video.mean(dim=(2, 3, 4)), audio.flatten(1)], dim=1))
    torch.testing.assert_close(network(batch).fused, logits.log_softmax(dim=1))


def test_attention_is_that_of_the_prediction() -> None:
    network, batch = small_scale("cfnsr").eval(), clips(2)
    video, audio = network.video(batch["frames"]), network.audio(batch["mfcc"])
    attention = network.attention(batch)
    torch.testing.assert_close(attention, network.cross_modal(video, network.context(audio)))
    assert attention.shape == (2, *video.shape[2:])
    assert small_scale("cfnsr", cross_modal=False).attention(batch) is None


def test_context_is_the_last_token() -> None:
    network = small_scale("cfnsr").eval()
    audio = torch.randn(2, 64, 26)
    context = network.context(audio)
    torch.testing.assert_close(context, network.self_attention(audio.transpose(1, 2))[:, 25])
    for token in (0, 25):
        changed = audio.clone()
        changed[:, :, token] = torch.randn(2, 64)
        assert (network.context(changed) - context).abs().max() > 1e-3


def test_no_token_attends_to_later_ones() -> None:
    attention = small_scale("cfnsr").self_attention.eval()
    tokens = torch.randn(2, 26, 64)
    changed = tokens.clone()
    changed[:, 20:] = torch.randn(2, 6, 64)
    before, after = attention(tokens), attention(changed)
    torch.testing.assert_close(after[:, :20], before[:, :20])
    assert ((after - before)[:, 20:].abs().amax(dim=2) > 1e-3).all()


def test_context_without_self_attention_is_the_mean() -> None:
    network, audio = small_scale("cfnsr", self_attention=False).eval(), torch.randn(2, 64, 26)
    torch.testing.assert_close(network.context(audio), audio.mean(dim=2))
    assert network(clips(2)).fused.isfinite().all()


def test_without_cross_modal_features_are_concatenated() -> None:
    network, batch = small_scale("cfnsr", cross_modal=False).eval(), clips(2)
    features = [network.video(batch["frames"]).mean(dim=(2, 3, 4)), network.audio(batch["mfcc"]).flatten(1)]
    expected = network.classifier(torch.cat(features, dim=1)).log_softmax(dim=1)
    torch.testing.assert_close(network(batch).fused, expected)


def test_positions_by_hand() -> None:
    table = CFNSR.positions(26, 64)
    assert table.shape == (26, 64)
    slowest = 3 / 10000
    expected = torch.tensor([math.sin(3), math.sin(slowest), math.cos(3), math.cos(slowest)])
    torch.testing.assert_close(table[2, [0, 31, 32, 63]], expected)


def test_attention_layers_start_with_different_weights() -> None:
    first, second = small_scale("cfnsr").self_attention.layers[:2]
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_cfnsr_trains_at_paper_scale() -> None:
    network = paper_scale("cfnsr")
    loss = nn.functional.nll_loss(network(clips(1, frames=30, size=224)).fused, torch.tensor([3]))
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())
