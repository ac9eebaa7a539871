"""Compact bilinear pooling, by hand-computed numbers."""

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


def sketch(positions: list[int], signs: list[float], outgoing: int) -> nn.Module:
    module = MCBP.CountSketch(len(positions), outgoing, torch.Generator())
    module.positions, module.signs = torch.tensor(positions), torch.tensor(signs)
    return module


def test_count_sketch_by_hand() -> None:
    module = sketch([0, 1, 0, 3], [1.0, -1.0, 1.0, -1.0], 4)
    assert module(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).tolist() == [[4.0, -2.0, 0.0, -4.0]]


def test_bilinear_pooling_by_hand() -> None:
    # (1, -2, 0) and (0, 4, 0), convolved in a circle: (0, 4, -8); roots 2 and -sqrt 8, length sqrt 12.
    fused = MCBP.bilinear(torch.tensor([[1.0, -2.0, 0.0]]), torch.tensor([[0.0, 4.0, 0.0]]))
    expected = torch.tensor([[0.0, 2.0, -math.sqrt(8)]]) / math.sqrt(12)
    torch.testing.assert_close(fused, expected, atol=1e-3, rtol=0)


def test_the_root_has_a_gradient_at_zero() -> None:
    video = torch.zeros(1, 8, requires_grad=True)
    MCBP.bilinear(video, torch.ones(1, 8)).sum().backward()
    assert video.grad is not None and video.grad.isfinite().all() and (video.grad != 0).all()


@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(1, 7), st.integers(1, 7))
def test_product_of_sketches_is_the_outer_products_sketch(seed: int, dimension: int, video: int, audio: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    first, second = (MCBP.CountSketch(length, dimension, generator) for length in (video, audio))
    v, a = (torch.randn(1, length, generator=generator) for length in (video, audio))
    positions = [(i + j) % dimension for i in first.positions.tolist() for j in second.positions.tolist()]
    signs = [s * t for s in first.signs.tolist() for t in second.signs.tolist()]
    outer = sketch(positions, signs, dimension)((v[0, :, None] * a[0]).reshape(1, -1))
    product = torch.fft.irfft(torch.fft.rfft(first(v)) * torch.fft.rfft(second(a)), n=dimension)
    torch.testing.assert_close(product, outer, atol=1e-4, rtol=1e-4)


def test_sketches_keep_inner_products_in_expectation() -> None:
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(2, 40, generator=generator)
    products = []
    for _ in range(4000):
        first, second = MCBP.CountSketch(40, 16, generator)(vectors)
        products.append(first @ second)
    products = torch.stack(products)
    error = products.std() / math.sqrt(len(products))
    assert error < 0.3  # so that the next line can fail
    assert abs(products.mean() - vectors[0] @ vectors[1]) < 4 * error


def test_sketches_depend_on_their_seed_alone() -> None:
    torch.manual_seed(5)
    same = [small_scale("mcbp", sketch_seed=3) for _ in range(2)]
    other = small_scale("mcbp", sketch_seed=4)
    assert torch.equal(same[0].video_sketch.positions, same[1].video_sketch.positions)
    assert not torch.equal(same[0].video_sketch.positions, other.video_sketch.positions)
    assert same[0].video_sketch.signs.unique().tolist() == [-1.0, 1.0]


def test_pooling_is_in_float32_under_autocast() -> None:
    network, types = small_scale("mcbp"), []
    network.classifier.register_forward_pre_hook(lambda module, inputs: types.append(inputs[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        network(clips(2))
    assert types == [torch.float32]


@pytest.mark.parametrize("name", ["frames", "mfcc"])
def test_both_modalities_change_the_prediction(name: str) -> None:
    network, batch = small_scale("mcbp").eval(), clips(2)
    swapped = batch.replace(**{name: batch[name].flip(0)})
    assert (network(swapped).fused - network(batch).fused).abs().max() > 1e-4
