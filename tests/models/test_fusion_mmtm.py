"""MMTM, by hand-computed numbers."""

from __future__ import annotations

import math
from importlib import import_module

import pytest
import torch
from torch import nn

from cfnsr.errors import CfnsrError
from tests.support.zoo import clips, small_scale

MMTM = import_module("cfnsr.models.fusion.mmtm")


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_a_gate_by_hand(factor: float) -> None:
    gate = MMTM.Gate(1, 1, ratio=4, factor=factor)
    gate.joint.weight.data, gate.joint.bias.data = torch.tensor([[1.0, 3.0]]), torch.tensor([-4.0])
    gate.video.weight.data, gate.video.bias.data = torch.tensor([[math.log(3)]]), torch.tensor([0.0])
    gate.audio.weight.data, gate.audio.bias.data = torch.tensor([[0.0]]), torch.tensor([math.log(4)])
    video, audio = torch.tensor([1.0, 3.0]).view(1, 1, 1, 1, 2), torch.tensor([[[0.5, 1.5]]])
    # Means 2 and 1, joint relu(2 + 3 - 4) = 1, gates 3/4 and 4/5.
    gated_video, gated_audio = gate(video, audio)
    torch.testing.assert_close(gated_video, 0.75 * factor * video)
    torch.testing.assert_close(gated_audio, 0.8 * factor * audio)


def test_three_gates_and_the_mean_of_heads() -> None:
    network, batch = small_scale("mmtm").eval(), clips(2)
    assert [gate.joint.in_features for gate in network.sites] == [128 + 32, 256 + 32, 512 + 64]
    for gate in network.sites:  # fully open, as if there were none
        for part in (gate.video, gate.audio):
            nn.init.zeros_(part.weight), nn.init.constant_(part.bias, 100.0)
    predicted = network(batch)
    video, audio = nn.Sequential(*network.video), nn.Sequential(*network.audio)
    logits = [network.video_head(video(batch["frames"])), network.audio_head(audio(batch["mfcc"]))]
    torch.testing.assert_close(predicted.fused, ((logits[0] + logits[1]) / 2).log_softmax(dim=1))
    torch.testing.assert_close(predicted.video, logits[0].log_softmax(dim=1))
    torch.testing.assert_close(predicted.audio, logits[1].log_softmax(dim=1))


def test_too_large_a_ratio_is_an_error() -> None:
    with pytest.raises(CfnsrError, match=r"mmtm\.options\.ratio: 10000"):
        small_scale("mmtm", ratio=10000)
