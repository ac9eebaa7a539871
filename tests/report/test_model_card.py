"""The card of the best model: the same figures as the table's, and the clips that the model was fitted to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cfnsr.data.splits import Trial
from cfnsr.inference.card import NOT_FOR, Card
from cfnsr.report import metrics, model_card, results
from cfnsr.report.best_model import BestModel
from tests.support import made_up_results

TRIALS = [Trial("held_out", f"fold_{number}", made_up_results.SEED) for number in (1, 2, 3, 4)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made_up_results.write_jobs(tmp_path, made_up_results.expected())
    made_up_results.write_cross(tmp_path)
    return tmp_path


def card(folder: Path, name: str, *, corpus: str = "made_up", refit: bool = False, licence: str = "") -> Card:
    manifest = made_up_results.manifest(corpus=corpus)
    options = {"encoder_licence": licence, "cross_rows": ("audio",), "ci_level": 0.95}
    best = BestModel(name, TRIALS[1], 0.6, 0.7, candidates=3, optimism=0.0123)
    return model_card.card(folder, manifest, best, TRIALS, refit=refit, **options)


def test_figures_are_those_of_the_table(folder: Path) -> None:
    manifest, expected = made_up_results.manifest(), made_up_results.expected()
    gathered = results.gather(folder, manifest, expected=expected, ci_level=0.95)
    for row in gathered.rows:
        known = card(folder, row.name).held_out
        assert known is not None and (known.candidates, known.optimism) == (3, 0.0123)
        assert (known.clips, known.speakers, known.protocol) == (32, 4, "held_out")
        figures = (known.accuracy, known.ci_low, known.ci_high, known.uar)
        np.testing.assert_allclose(figures, (row.accuracy, row.ci_low, row.ci_high, row.uar), atol=5e-5)


def test_temperature_is_of_the_models_validation_speakers(folder: Path) -> None:
    trial = TRIALS[1]
    predictions = made_up_results.predictions("cfnsr", seed=made_up_results.SEED + 9)
    speakers = made_up_results.manifest().speakers(trial).validation
    validation = predictions.loc[predictions["actor"].isin(speakers)]
    assert card(folder, "cfnsr").temperature == round(metrics.temperature(validation, made_up_results.LABELS), 4)


def test_card_counts_the_clips_it_was_fitted_to(folder: Path) -> None:
    assert (card(folder, "cfnsr").trained_clips, card(folder, "cfnsr").trained_speakers) == (16, 2)
    assert (card(folder, "cfnsr", refit=True).trained_clips, card(folder, "cfnsr", refit=True).trained_speakers) == (
        24,
        3,
    )


def test_card_states_corpus_language_and_licences(folder: Path) -> None:
    known = card(folder, "audio", corpus="emodb", licence="MIT")
    assert (known.language, known.licence) == ("German", "emodb: CC0 1.0; weights of the encoder: MIT")
    assert known.modalities == ["audio"] and known.labels == made_up_results.LABELS and known.not_for == NOT_FOR
    unknown = card(folder, "audio", corpus="folder")
    assert (unknown.language, unknown.licence) == ("", "")


def test_cross_corpus_figures_are_of_the_same_row(folder: Path) -> None:
    cross = card(folder, "audio").cross
    assert [(figure.trained_on, figure.corpus, figure.standardised) for figure in cross] == [
        ("emodb", "made_up", "training"),
        ("emodb, crema_d", "made_up", "training"),
    ]
    assert cross[0].emotions == ["anger", "happiness", "sadness"] and cross[0].chance == 0.3333
    assert card(folder, "cfnsr").cross == []
