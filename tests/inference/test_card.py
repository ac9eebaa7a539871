from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cfnsr.errors import CfnsrError
from cfnsr.inference.card import FILE, NOT_FOR, Card, CrossFigure, HeldOut

CARD = Card(
    name="voice",
    corpus="emodb",
    language="German",
    labels=["anger", "fear"],
    modalities=["audio"],
    trained_clips=1535,
    trained_speakers=10,
    temperature=0.5,
    held_out=HeldOut(0.8617, 0.819, 0.904, 0.85, 535, 10, "held_out"),
    cross=[CrossFigure("emodb", "ravdess_speech", ["anger", "fear"], 0.336, 0.32, 0.352, 0.5, "training")],
)


def test_card_beside_a_model_is_read_back(tmp_path: Path) -> None:
    CARD.write(tmp_path)
    assert Card.of(tmp_path / "model.safetensors") == CARD
    before = (tmp_path / FILE).read_bytes()
    Card.of(tmp_path / "model.safetensors").write(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_model_without_card_says_so(tmp_path: Path) -> None:
    card = Card.of(tmp_path / "own.safetensors")
    assert card == Card("own") and card.not_for == NOT_FOR and card.temperature == 1.0
    assert card.trained_on() == "not known: no card.json lies beside the model"
    assert [*card.figures()] == ["held out: not known"]


def test_card_says_what_it_is_worth() -> None:
    assert CARD.trained_on() == "emodb, German: 1,535 clips of 10 speakers"
    assert [*CARD.figures()] == [
        "held out by speaker on emodb: 86.2 % (81.9–90.4) of 535 clips, 10 speakers, chance 50.0",
        "trained on emodb, tested on ravdess_speech: 33.6 % (32.0–35.2) of 2 emotions, chance 50.0",
    ]


def test_card_says_that_it_was_chosen() -> None:
    assert CARD.held_out is not None
    chosen = replace(CARD, held_out=replace(CARD.held_out, candidates=4, optimism=0.0123))
    assert next(chosen.figures()).endswith("chance 50.0; chosen from 4, which makes it 1.2 points too high")


def test_fields_of_later_versions_are_ignored(tmp_path: Path) -> None:
    values = json.loads(CARD.to_json())
    values["new"] = values["held_out"]["new"] = values["cross"][0]["new"] = 1
    assert Card.from_json(json.dumps(values), tmp_path) == CARD


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text", "is not the card of a model"),
        ('{"corpus": "emodb"}', "is not the card of a model"),
        ('{"name": "a", "held_out": {"accuracy": 1}}', "is not the card of a model"),
        (replace(CARD, temperature=0.0).to_json(), "its temperature is 0"),
    ],
)
def test_damaged_card_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(CfnsrError, match=rf"card\.json: {message}"):
        Card.of(tmp_path / "model.safetensors")


@pytest.mark.parametrize("temperature", ["NaN", "Infinity", "-1", "0", "1e-320"])
def test_temperature_that_gives_no_probabilities_is_refused(temperature: str) -> None:
    with pytest.raises(CfnsrError, match="temperature"):
        Card.from_json(f'{{"name": "a", "temperature": {temperature}}}', "card.json")
