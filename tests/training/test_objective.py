from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from cfnsr.models.types import Prediction
from cfnsr.training.objective import Objective
from tests.support.networks import CPU
from tests.support.training import SETTINGS


@given(st.integers(2, 6), st.floats(0, 0.9), st.sampled_from(["none", "balanced"]), st.integers(0, 2**31))
def test_objective_equals_torchs_cross_entropy(count: int, smoothing: float, weights: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    classes = torch.cat([torch.arange(count), torch.randint(count, (9,), generator=generator)])
    settings = replace(SETTINGS, label_smoothing=smoothing, class_weights=weights)
    log_probs = torch.randn(5, count, generator=generator).log_softmax(dim=1)
    label = torch.randint(count, (5,), generator=generator)
    objective = Objective(settings, classes.numpy(), count, CPU)
    weight = len(classes) / (count * classes.bincount(minlength=count)) if weights == "balanced" else None
    expected = nn.functional.cross_entropy(log_probs, label, weight, label_smoothing=smoothing)
    assert float(objective(nn.Identity(), Prediction(log_probs), label)) == pytest.approx(
        float(expected), rel=1e-4, abs=1e-5
    )
    assert objective.normaliser(label) == pytest.approx(5 if weight is None else float(weight[label].sum()), rel=1e-5)


def test_balanced_weights_equal_scikit_learns() -> None:
    classes = np.array([0, 0, 0, 1, 2, 2])
    weights = Objective(replace(SETTINGS, class_weights="balanced"), classes, 3, CPU).class_weights
    assert weights is not None
    assert weights.tolist() == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=classes).tolist())


def test_networks_scores_replace_its_log_probabilities() -> None:
    class Scoring(nn.Module):
        def scores(self, prediction: Prediction) -> torch.Tensor:
            return 2 * prediction.fused

    log_probs, label = torch.randn(5, 3).log_softmax(dim=1), torch.tensor([0, 1, 2, 0, 1])
    objective = Objective(SETTINGS, np.arange(3), 3, CPU)
    plain, scored = (objective(network, Prediction(log_probs), label) for network in (nn.Identity(), Scoring()))
    assert torch.allclose(scored, 2 * plain)


def test_smoothing_teaches_no_class_without_clips() -> None:
    settings = replace(SETTINGS, class_weights="balanced", label_smoothing=0.1)
    objective = Objective(settings, np.repeat(np.arange(7), 150), 8, CPU)
    assert objective.class_weights is not None and objective.class_weights.tolist() == [1.0] * 7 + [0.0]
    logits = torch.zeros(1, 8, requires_grad=True)
    for _ in range(300):
        loss = objective(nn.Identity(), Prediction(logits.log_softmax(dim=1)), torch.tensor([0]))
        (gradient,) = torch.autograd.grad(loss, logits)
        logits = (logits - gradient).detach().requires_grad_()
    predicted = logits.softmax(dim=1)[0].tolist()
    assert predicted[0] > 0.85 and predicted[7] < 0.02
