"""Concatenation, by hand-computed numbers."""

from __future__ import annotations

import math

import torch
from torch import nn

from cfnsr.models.types import Batch
from tests.support.zoo import clips, small_scale


def test_concat_by_hand() -> None:
    network = small_scale("concat", hidden=2).eval()
    network.video, network.audio = nn.Flatten(), nn.Flatten()  # so that the inputs are the features
    network.classifier.hidden = nn.Linear(4, 2)
    network.classifier.hidden.weight.data = torch.tensor([[1.0, 0.0, 0.0, 2.0], [0.0, -1.0, 0.0, 0.0]])
    network.classifier.hidden.bias.data = torch.tensor([-1.0, 0.0])
    network.classifier.linear.weight.data = torch.zeros(8, 2)
    network.classifier.linear.weight.data[0] = torch.tensor([0.5, 100.0])
    network.classifier.linear.bias.data = torch.zeros(8)
    frames = torch.tensor([1.0, 3.0, 9.0]).view(1, 3, 1, 1, 1)
    batch = Batch({"frames": frames, "mfcc": torch.tensor([[[2.0]]])}, torch.tensor([0]))
    fused = network(batch).fused
    # relu(1 + 4 - 1) = 4, relu(-3) = 0: the first class's logit is 2, the others' 0.
    torch.testing.assert_close(fused[0, 0].exp(), torch.tensor(math.exp(2) / (math.exp(2) + 7)))


def test_features_are_the_pooled_last_stages() -> None:
    network, batch = small_scale("concat").eval(), clips(2)
    frames, mfcc = batch["frames"], batch["mfcc"]
    torch.testing.assert_close(network.video(frames), network.video.stages(frames).mean(dim=(2, 3, 4)))
    assert torch.equal(network.audio(mfcc), network.audio.stages(mfcc).flatten(1))
