from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cfnsr.training.settings import TrainingSettings
from tests.support.training import SETTINGS, SHARED, TRAINING


def test_settings_join_both_sections_of_params() -> None:
    settings = TrainingSettings.of({**TRAINING, "epochs": 9}, {**SHARED, "clip_norm": 0.5, "precision": "auto"}, "bf16")
    assert (settings.epochs, settings.clip_norm, settings.precision) == (9, 0.5, "bf16")


def test_constant_learning_rate_stays() -> None:
    assert {SETTINGS.lr_scale(step, 4) for step in range(20)} == {1.0}


def test_cosine_learning_rate_rises_then_falls() -> None:
    settings = replace(SETTINGS, epochs=4, schedule="cosine", warmup_epochs=1)
    scales = [settings.lr_scale(step, 4) for step in range(16)]
    assert scales[:4] == [0.25, 0.5, 0.75, 1.0]
    assert scales[4:] == pytest.approx([0.5 * (1 + np.cos(np.pi * step / 12)) for step in range(12)])
