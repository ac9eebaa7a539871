"""Averaging, multiplication and multiplicative combination, by hand-computed numbers."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor, nn

from cfnsr.errors import CfnsrError
from cfnsr.models.types import Prediction
from tests.support.zoo import small_scale


@cache
def rule(name: str, beta: float | None = None) -> nn.Module:
    return small_scale(name, **({} if beta is None else {"beta": beta}))


def combine(name: str, video: Tensor, audio: Tensor, beta: float | None = None) -> Tensor:
    return rule(name, beta).combine(video, audio)


def logs(*rows: list[float]) -> Tensor:
    return torch.tensor(rows).log()


def test_averaging_by_hand() -> None:
    fused = combine("averaging", logs([0.9, 0.1, 1e-30]), logs([0.3, 0.7, 1e-30]))
    torch.testing.assert_close(fused, torch.tensor([[math.log(0.6), math.log(0.4), math.log(1e-30)]]))


def test_multiplication_by_hand() -> None:
    fused = combine("multiplication", logs([0.9, 0.1]), logs([0.3, 0.7]))
    torch.testing.assert_close(fused.exp(), torch.tensor([[0.27 / 0.34, 0.07 / 0.34]]))


@pytest.mark.parametrize("name", ["averaging", "multiplication", "multiplicative"])
def test_opposite_certain_predictions_give_equal_probabilities(name: str) -> None:
    fused = combine(name, logs([1.0, 0.0, 0.0]), logs([0.0, 1.0, 0.0]))
    torch.testing.assert_close(fused.exp(), torch.tensor([[0.5, 0.5, 0.0]]), atol=1e-5, rtol=0)


def test_multiplicative_by_hand() -> None:
    # q of the video: sqrt(1 - p_audio) = sqrt(0.64), sqrt(0.36); of the audio: sqrt(0.75), sqrt(0.25).
    scores = [0.8 * math.log(0.25) + math.sqrt(0.75) * math.log(0.36), 0.6 * math.log(0.75) + 0.5 * math.log(0.64)]
    video, audio = logs([0.25, 0.75]), logs([0.36, 0.64])
    total = sum(math.exp(score) for score in scores)
    fused = combine("multiplicative", video, audio, beta=0.5)
    torch.testing.assert_close(fused.exp(), torch.tensor([[math.exp(score) / total for score in scores]]))
    for label in (0, 1):
        computed = small_scale("multiplicative", beta=0.5).scores(Prediction(fused, video, audio))
        assert computed[0, label].item() == pytest.approx(scores[label])


def test_no_gradient_flows_through_multiplicative_weights() -> None:
    video, audio = (logs(row).requires_grad_() for row in ([0.25, 0.75], [0.36, 0.64]))
    network = small_scale("multiplicative", beta=0.5)
    (-network.scores(Prediction(network.combine(video, audio), video, audio))[0, 1]).backward()
    torch.testing.assert_close(video.grad, torch.tensor([[0.0, -0.6]]))
    torch.testing.assert_close(audio.grad, torch.tensor([[0.0, -0.5]]))


DISTRIBUTIONS = arrays.arrays(np.float32, (3, 8), elements=st.floats(-8, 8, width=32)).map(
    lambda logits: torch.from_numpy(logits).log_softmax(dim=1)
)


@given(DISTRIBUTIONS, DISTRIBUTIONS)
def test_multiplicative_with_beta_zero_is_the_product(video: Tensor, audio: Tensor) -> None:
    network = rule("multiplicative", 0.0)
    torch.testing.assert_close(network.combine(video, audio), (video + audio).log_softmax(dim=1))
    labels = torch.tensor([0, 3, 7])
    expected = -(video + audio)[torch.arange(3), labels].mean()
    scores = network.scores(Prediction(video, video, audio))
    torch.testing.assert_close(nn.functional.nll_loss(scores, labels), expected)


@given(DISTRIBUTIONS)
def test_a_uniform_modality_does_not_decide(known: Tensor) -> None:
    uniform = torch.full_like(known, -math.log(8))
    for name in ("averaging", "multiplication"):
        for fused in (combine(name, known, uniform), combine(name, uniform, known)):
            best = known.gather(1, fused.argmax(dim=1, keepdim=True))
            torch.testing.assert_close(best, known.amax(dim=1, keepdim=True), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("beta", [-0.1, math.inf, math.nan])
def test_impossible_beta_is_an_error(beta: float) -> None:
    with pytest.raises(CfnsrError, match=r"multiplicative\.options\.beta"):
        small_scale("multiplicative", beta=beta)
