"""Concatenation and compact bilinear pooling, by hand-computed numbers."""

from __future__ import annotations

import math
from importlib import import_module

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.support.zoo import clips, small_scale

MCBP = import_module("cfnsr.models.fusion.mcbp")


def test_concat_by_numbers() -> None:
    network = small_scale("concat", hidden=2).eval()
    network.video, network.audio = nn.Flatten(), nn.Flatten()  # what is given are the features themselves
    network.classifier.hidden = nn.Linear(4, 2)
    network.classifier.hidden.weight.data = torch.tensor([[1.0, 0.0, 0.0, 2.0], [0.0, -1.0, 0.0, 0.0]])
    network.classifier.hidden.bias.data = torch.tensor([-1.0, 0.0])
    network.classifier.linear.weight.data = torch.zeros(8, 2)
    network.classifier.linear.weight.data[0] = torch.tensor([0.5, 100.0])
    network.classifier.linear.bias.data = torch.zeros(8)
    frames = torch.tensor([1.0, 3.0, 9.0]).view(1, 3, 1, 1, 1)
    fused = network(frames, torch.zeros(1, 1, 1), torch.tensor([[[2.0]]])).fused
    # relu(1 + 4 - 1) = 4, relu(-3) = 0: the first class's logit is 2, the others' 0.
    torch.testing.assert_close(fused[0, 0].exp(), torch.tensor(math.exp(2) / (math.exp(2) + 7)))


def test_concats_features_are_the_encoders_pooled() -> None:
    network, batch = small_scale("concat").eval(), clips(2)
    face = network.video.trunk(batch[0])
    torch.testing.assert_close(network.video(batch[0]), face.mean(dim=(2, 3, 4)))
    assert torch.equal(network.audio(batch[2]), network.audio.trunk(batch[2]).flatten(1))


def sketch(places: list[int], signs: list[float], outgoing: int) -> nn.Module:
    made = MCBP.CountSketch(len(places), outgoing, torch.Generator())
    made.places, made.signs = torch.tensor(places), torch.tensor(signs)
    return made


def test_count_sketch_by_numbers() -> None:
    made = sketch([0, 1, 0, 3], [1.0, -1.0, 1.0, -1.0], 4)
    assert made(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).tolist() == [[4.0, -2.0, 0.0, -4.0]]


def test_bilinear_by_numbers() -> None:
    # (1, -2, 0) and (0, 4, 0), convolved in a circle: (0, 4, -8); roots 2 and -sqrt 8, length sqrt 12.
    fused = MCBP.bilinear(torch.tensor([[1.0, -2.0, 0.0]]), torch.tensor([[0.0, 4.0, 0.0]]))
    expected = torch.tensor([[0.0, 2.0, -math.sqrt(8)]]) / math.sqrt(12)
    torch.testing.assert_close(fused, expected, atol=1e-3, rtol=0)


def test_the_root_has_a_slope_at_zero() -> None:
    video = torch.zeros(1, 8, requires_grad=True)
    MCBP.bilinear(video, torch.ones(1, 8)).sum().backward()
    assert video.grad is not None and video.grad.isfinite().all() and (video.grad != 0).all()


@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(1, 7), st.integers(1, 7))
def test_the_product_of_two_sketches_is_the_sketch_of_the_outer_product(
    seed: int, dimension: int, video: int, audio: int
) -> None:
    chance = torch.Generator().manual_seed(seed)
    first, second = (MCBP.CountSketch(count, dimension, chance) for count in (video, audio))
    face, voice = (torch.randn(1, count, generator=chance) for count in (video, audio))
    places = [(one + two) % dimension for one in first.places.tolist() for two in second.places.tolist()]
    signs = [one * two for one in first.signs.tolist() for two in second.signs.tolist()]
    outer = sketch(places, signs, dimension)((face[0, :, None] * voice[0]).reshape(1, -1))
    product = torch.fft.irfft(torch.fft.rfft(first(face)) * torch.fft.rfft(second(voice)), n=dimension)
    torch.testing.assert_close(product, outer, atol=1e-4, rtol=1e-4)


def test_sketches_keep_inner_products_in_expectation() -> None:
    chance = torch.Generator().manual_seed(1)
    vectors = torch.randn(2, 40, generator=chance)
    drawn = []
    for _ in range(4000):
        one, other = MCBP.CountSketch(40, 16, chance)(vectors)
        drawn.append(one @ other)
    drawn = torch.stack(drawn)
    error = drawn.std() / math.sqrt(len(drawn))
    assert error < 0.3  # so that the next line can fail
    assert abs(drawn.mean() - vectors[0] @ vectors[1]) < 4 * error


def test_the_sketch_is_drawn_by_its_seed_alone() -> None:
    torch.manual_seed(5)
    same = [small_scale("mcbp", sketch_seed=3) for _ in range(2)]
    other = small_scale("mcbp", sketch_seed=4)
    assert torch.equal(same[0].video_sketch.places, same[1].video_sketch.places)
    assert not torch.equal(same[0].video_sketch.places, other.video_sketch.places)
    assert same[0].video_sketch.signs.unique().tolist() == [-1.0, 1.0]


def test_mcbp_multiplies_in_float32_under_autocast() -> None:
    network, found = small_scale("mcbp"), []
    network.classifier.register_forward_pre_hook(lambda module, inputs: found.append(inputs[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        network(*clips(2))
    assert found == [torch.float32]


@pytest.mark.parametrize("name", ["video", "audio"])
def test_mcbp_listens_to_both(name: str) -> None:
    network, (frames, mel, mfcc) = small_scale("mcbp").eval(), clips(2)
    swapped = (frames.flip(0), mel, mfcc) if name == "video" else (frames, mel, mfcc.flip(0))
    assert (network(*swapped).fused - network(frames, mel, mfcc).fused).abs().max() > 1e-4
