"""1D CNN on MFCC: sizes as published, and how they follow from the shape of the MFCC."""

from __future__ import annotations

import pytest
import torch

from cfnsr.errors import CfnsrError
from cfnsr.models import encoders


def audio(coefficients: int, steps: int) -> encoders.Encoder:
    return encoders.build("audio", "mfcc_cnn", 8, [coefficients, steps], dropout=0.2, head_dropout=0.4)


def test_sizes_at_paper_scale() -> None:
    network = audio(13, 212)
    assert sum(parameter.numel() for parameter in network.parameters()) == 34_024
    assert (network.channels, network.dim) == ([32, 32, 64], 1664)


def test_pooling_starts_the_third_stage() -> None:
    features, shapes = torch.zeros(1, 13, 212), []
    for stage in audio(13, 212).eval().stages:
        features = stage(features)
        shapes.append(tuple(features.shape[1:]))
    assert shapes == [(32, 210), (32, 208), (64, 26)]


@pytest.mark.parametrize(("steps", "tokens"), [(12, 1), (211, 25), (212, 26), (220, 27)])
def test_head_is_sized_from_the_steps(steps: int, tokens: int) -> None:
    network = audio(5, steps)
    assert network.dim == 64 * tokens
    assert network(torch.randn(2, 5, steps)).shape == (2, 8)


def test_too_few_steps_are_an_error() -> None:
    with pytest.raises(CfnsrError, match=r"extract\.audio: 11 MFCC steps are too few"):
        audio(13, 11)
