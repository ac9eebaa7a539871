"""What `run.cross` and `cross` may say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cfnsr import config
from cfnsr.config.cross import same_recordings
from cfnsr.config.yaml_files import read_yaml
from cfnsr.errors import CfnsrError


@pytest.fixture
def values(root: Path) -> dict[str, Any]:
    values = read_yaml(root / "params.yaml")
    values["run"] |= {"probe": ["mel_statistics"], "cross": {"corpora": ["emodb"], "rows": ["mel_statistics"]}}
    return values


def test_corpora_with_rows_are_accepted(values: dict[str, Any]) -> None:
    values["run"]["cross"]["corpora"] = ["emodb", "crema_d", "ravdess_speech", "folder"]
    assert config.check(values, Path("params.yaml")).run.cross.rows == ["mel_statistics"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda v: v["run"]["cross"].update(corpora=["studio"]), "studio has the same speakers as studio"),
        (lambda v: v["run"]["cross"].update(corpora=["ravdess", "ravdess_speech"]), "ravdess_speech has the same sp"),
        (lambda v: v["run"]["cross"].update(corpora=["iemocap"]), r"there is no corpus iemocap; choose of crema_d, em"),
        (lambda v: v["run"]["cross"].update(corpora=["emodb", "emodb"]), r"run\.cross\.corpora: emodb named twice"),
        (lambda v: v["run"]["cross"].update(corpora=[]), r"run\.cross: one of corpora and rows is empty"),
        (lambda v: v["run"]["cross"].update(rows=[]), r"run\.cross: one of corpora and rows is empty"),
        (lambda v: v["run"]["cross"].update(rows=["whisper_tiny"]), r"whisper_tiny is not in run\.probe"),
        (lambda v: v["cross"].update(standardise=[]), r"cross\.standardise: List should have at least 1 item"),
        (lambda v: v["cross"].update(standardise=["test"]), r"cross\.standardise\.0: Input should be 'training' or"),
        (lambda v: v["cross"].update(standardise=["target", "target"]), "target named twice"),
        (
            lambda v: v["cross"].update(labels={"size": "fear"}),
            r"cross\.labels\.size: DVC ignores changes of a key named size",
        ),
    ],
)
def test_faulty_lists_are_refused(values: dict[str, Any], change: Callable[[Any], object], problem: str) -> None:
    change(values)
    with pytest.raises(CfnsrError, match=problem):
        config.check(values, Path("params.yaml"))


def test_shipped_names_agree_between_corpora(values: dict[str, Any]) -> None:
    from cfnsr import corpora

    names = config.check(values, Path("params.yaml")).cross.labels
    common = {
        corpus: {names.get(label, label) for label in corpora.get(corpus).labels()}
        for corpus in ("ravdess_speech", "emodb", "crema_d")
    }
    six = {"anger", "disgust", "fear", "happiness", "neutral", "sadness"}
    assert common["crema_d"] == six and common["emodb"] == {*six, "boredom"}
    assert common["ravdess_speech"] == {*six, "calm", "surprise"}


def test_the_same_speakers_are_known_by_name() -> None:
    assert same_recordings("ravdess", "ravdess_speech") and same_recordings("emodb", "emodb")
    assert not same_recordings("ravdess", "crema_d")
