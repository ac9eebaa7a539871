"""The description of a network as JSON, and what it builds."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch

from cfnsr.errors import CfnsrError
from cfnsr.models.spec import ModelSpec, differences
from tests.support import zoo
from tests.support.zoo import clips


def test_json_gives_the_same_spec_again() -> None:
    spec = zoo.spec("cfnsr")
    assert ModelSpec.from_json(spec.to_json(), "file") == spec
    reordered = replace(spec, options=dict(reversed(spec.options.items())))
    assert reordered.to_json() == spec.to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.pop("labels"), r"file: its description cannot be read \(labels .*required"),
        (lambda values: values.update(seed="7"), r"file: .*\(seed .*integer"),
        (lambda values: values.update(colour="red"), r"file: .*\(colour .*"),
        (lambda values: values["pixels"].pop("order"), r"file: its description lacks pixels\.order"),
        (lambda values: values["inputs"].update(mel=[2**14, 2**14]), r"file: .*too much: inputs\.mel is"),
        (lambda values: values["inputs"].update(mel=[-1, -1]), r"file: .*too much: inputs\.mel is"),
        (lambda values: values["options"].update(heads=2**30), r"file: .*too much: options\.heads is"),
        (lambda values: values["encoders"]["video"].update(layers=[1, 1e99]), r"file: .*encoders\.video\.layers\.1 is"),
        (lambda values: values["options"].update(position_dropout=float("nan")), r"file: .*too much|file: .*cannot be"),
        (lambda values: values.update(labels=["a"] * 2000), r"file: .*too much: 2000 labels"),
    ],
)
def test_wrong_descriptions_are_errors(change: Any, message: str) -> None:
    values = asdict(zoo.spec("cfnsr"))
    change(values)
    with pytest.raises(CfnsrError, match=message):
        ModelSpec.from_json(json.dumps(values), "file")


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_text_that_is_no_description_is_an_error(text: str) -> None:
    with pytest.raises(CfnsrError, match="file: its description cannot be read"):
        ModelSpec.from_json(text, "file")


@pytest.mark.parametrize("modality", ["video", "audio"])
def test_a_modality_needs_its_encoder_alone(modality: str) -> None:
    spec = zoo.spec(modality)
    assert set(spec.encoders) == {modality}
    assert set(spec.build().modality_modules) == {modality}


def test_trained_encoders_are_used_as_they_are() -> None:
    spec = zoo.spec("averaging")
    parts = {modality: zoo.encoder(modality, section) for modality, section in spec.encoders.items()}
    network = spec.build(parts)
    assert network.video is parts["video"] and network.audio is parts["audio"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "ghost"}, "there is no system 'ghost'"),
        ({"encoders": {}}, r"encoders\.video\.name: there is no video encoder ''"),
        ({"inputs": {"frames": [8, 64, 64, 3]}}, r"encoders\.audio: reads 'mfcc', which the data lacks"),
        ({"options": {"heads": 7}}, r"systems\.cfnsr\.options\.attention_dropout: missing"),
    ],
)
def test_impossible_descriptions_build_no_network(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CfnsrError, match=message):
        replace(zoo.spec("cfnsr"), **changes).build()


def test_differences_name_each_setting_once() -> None:
    expected = {"a": {"b": 1, "c": [1, 2]}, "d": {"e": {"f": 1}}, "g": "x"}
    assert not list(differences(expected, {**expected, "more": 1}))
    actual = {"a": {"b": 2, "c": [1, 2], "more": 1}, "d": {"e": 3}}
    assert list(differences(expected, actual)) == [("a.b", 1, 2), ("d.e", {"f": 1}, 3), ("g", "x", None)]
    assert list(differences(expected["d"], {})) == [("e.f", 1, None)]


def test_the_spec_builds_what_the_zoo_does() -> None:
    torch.manual_seed(0)
    built = zoo.spec("cfnsr").build().eval()
    with torch.inference_mode():
        assert torch.equal(built(clips(2)).fused, zoo.small_scale("cfnsr").eval()(clips(2)).fused)
