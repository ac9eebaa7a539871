"""MMTM and MSAF, which meet between the layers of both encoders, by hand-computed numbers."""

from __future__ import annotations

import math
from importlib import import_module

import pytest
import torch
from torch import nn

from cfnsr.errors import CfnsrError
from tests.support.zoo import clips, small_scale

MMTM, MSAF = (import_module(f"cfnsr.models.fusion.{name}") for name in ("mmtm", "msaf"))


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_a_gate_by_numbers(factor: float) -> None:
    gate = MMTM.Gate(1, 1, ratio=4, factor=factor)
    gate.joint.weight.data, gate.joint.bias.data = torch.tensor([[1.0, 3.0]]), torch.tensor([-4.0])
    gate.video.weight.data, gate.video.bias.data = torch.tensor([[math.log(3)]]), torch.tensor([0.0])
    gate.audio.weight.data, gate.audio.bias.data = torch.tensor([[0.0]]), torch.tensor([math.log(4)])
    face, voice = torch.tensor([1.0, 3.0]).view(1, 1, 1, 1, 2), torch.tensor([[[0.5, 1.5]]])
    # Means 2 and 1, joint relu(2 + 3 - 4) = 1, gates 3/4 and 4/5.
    seen, heard = gate(face, voice)
    torch.testing.assert_close(seen, 0.75 * factor * face)
    torch.testing.assert_close(heard, 0.8 * factor * voice)


def test_mmtm_meets_at_three_depths_and_averages_both_heads() -> None:
    network, (frames, mel, mfcc) = small_scale("mmtm").eval(), clips(2)
    assert [gate.joint.in_features for gate in network.between] == [128 + 32, 256 + 32, 512 + 64]
    for gate in network.between:  # open: as if they were not there
        for part in (gate.video, gate.audio):
            nn.init.zeros_(part.weight), nn.init.constant_(part.bias, 100.0)
    predicted = network(frames, mel, mfcc)
    face, voice = frames, mfcc
    for video, audio in zip(network.video, network.audio, strict=True):
        face, voice = video(face), audio(voice)
    logits = [network.video_head(face), network.audio_head(voice)]
    torch.testing.assert_close(predicted.fused, ((logits[0] + logits[1]) / 2).log_softmax(dim=1))
    torch.testing.assert_close(predicted.video, logits[0].log_softmax(dim=1))
    torch.testing.assert_close(predicted.audio, logits[1].log_softmax(dim=1))


def test_a_ratio_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(CfnsrError, match=r"mmtm\.options\.ratio: 10000"):
        small_scale("mmtm", ratio=10000)


def attention() -> nn.Module:
    return MSAF.SplitAttention([4, 3], width=2, reduction=1, dropout=0.0).eval()


def test_split_attention_by_numbers() -> None:
    site = attention()
    assert site.blocks == [2, 2]
    nn.init.eye_(site.joint.weight), nn.init.zeros_(site.joint.bias)
    nn.init.zeros_(site.scores.weight), nn.init.zeros_(site.scores.bias)
    # Of the first block's first channel the score is the descriptor's first: ln 3 more than that of the others.
    site.scores.weight.data[0, 0] = 1.0
    level = math.log(3) * math.sqrt(1 + site.norm.eps)
    face = torch.tensor([level, 0.0, 0.0, 5.0]).view(1, 4, 1, 1, 1)
    voice = torch.tensor([[0.0], [1.0], [0.0]]).view(1, 3, 1)
    seen, heard = site(face, voice)
    assert seen.flatten().tolist() == pytest.approx([level * 3 / 6, 0, 0, 5 / 4])
    assert heard.flatten().tolist() == pytest.approx([0, 1 / 4, 0])


def test_the_descriptor_is_the_blocks_sum_averaged_over_places() -> None:
    site, found = attention(), []
    site.joint.register_forward_pre_hook(lambda module, inputs: found.append(inputs[0]))
    face, voice = torch.randn(2, 4, 3, 2, 2), torch.randn(2, 3, 5)
    site(face, voice)
    expected = (face[:, :2] + face[:, 2:]).mean(dim=(2, 3, 4)) + voice[:, :2].mean(dim=2)
    expected[:, 0] += voice[:, 2].mean(dim=1)  # the ragged block has one channel and a zero
    torch.testing.assert_close(found[0], expected)


def test_attention_sums_to_one_across_the_blocks_of_both() -> None:
    site = MSAF.SplitAttention([32, 20], width=8, reduction=2, dropout=0.0).eval()
    weights = site.weights(torch.randn(3, 4, 8, 6), torch.randn(3, 3, 8, 5))
    assert weights.shape == (3, 7, 8) and weights.std() > 0
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3, 8))


def test_training_silences_whole_blocks_and_scales_the_others_once() -> None:
    torch.manual_seed(0)
    site = MSAF.SplitAttention([64, 8], width=4, reduction=1, dropout=0.2).train()
    blocks = torch.ones(50, 16, 4, 6)
    kept = site._silenced(blocks).flatten(2)
    assert torch.equal(kept.amin(dim=2), kept.amax(dim=2))
    assert sorted(kept.unique().tolist()) == pytest.approx([0, 1.25])
    assert (kept == 0).float().mean().item() == pytest.approx(0.2, abs=0.05)
    assert torch.equal(site.eval()._silenced(blocks), blocks)


def test_what_leaves_a_site_in_training_is_scaled_once() -> None:
    torch.manual_seed(0)
    site = MSAF.SplitAttention([8, 8], width=4, reduction=1, dropout=0.2).train()
    nn.init.zeros_(site.scores.weight), nn.init.zeros_(site.scores.bias)
    face = torch.ones(40, 8, 1, 1, 1)
    seen, _ = site(face, torch.ones(40, 8, 1))
    assert sorted(seen.unique().tolist()) == pytest.approx([0, 1.25 / 4])


def test_msaf_adds_both_heads() -> None:
    network, batch = small_scale("msaf").eval(), clips(2)
    predicted = network(*batch)
    torch.testing.assert_close(predicted.fused, (predicted.video + predicted.audio).log_softmax(dim=1))


@pytest.mark.parametrize("widths", [[16], [16, 3], [16, 32, 64]])
def test_impossible_widths_are_refused(widths: list[int]) -> None:
    with pytest.raises(CfnsrError, match=r"msaf\.options\.widths"):
        small_scale("msaf", widths=widths)
