from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfnsr.data.splits import Speakers, check, split
from cfnsr.errors import CfnsrError


@given(sizes=st.lists(st.integers(1, 4), min_size=3, max_size=8), untested=st.integers(0, 3))
def test_sets_are_disjoint_and_every_fold_tested_once(sizes: list[int], untested: int) -> None:
    speakers = [f"{number:02d}" for number in range(sum(sizes) + untested)]
    rest = iter(speakers)
    folds = {f"fold_{number}": [next(rest) for _ in range(size)] for number, size in enumerate(sizes, start=1)}
    sets = split("held_out", speakers, folds)
    for of_fold in sets.values():
        test, validation, train = set(of_fold.test), set(of_fold.validation), set(of_fold.train)
        assert not (test & validation or test & train or validation & train)
        assert test | validation | train == set(speakers)
        assert test and validation and train
    in_a_fold = sorted(speaker for names in folds.values() for speaker in names)
    assert sorted(speaker for of_fold in sets.values() for speaker in of_fold.test) == in_a_fold
    assert sorted(speaker for of_fold in sets.values() for speaker in of_fold.validation) == in_a_fold


def test_held_out_validates_on_the_next_fold() -> None:
    sets = split("held_out", ["01", "02", "03", "04"], {"a": ["01"], "b": ["02"], "c": ["03"]})
    assert sets["a"] == Speakers(test=("01",), validation=("02",), train=("03", "04"))
    assert sets["c"] == Speakers(test=("03",), validation=("01",), train=("02", "04"))


def test_test_selected_trains_on_all_others() -> None:
    sets = split("test_selected", ["01", "02", "03", "04"], {"a": ["01"], "b": ["02"]})
    assert sets["a"] == Speakers(test=("01",), validation=(), train=("02", "03", "04"))


def test_folds_of_another_protocol_are_refused() -> None:
    with pytest.raises(CfnsrError, match=r"folds\.a: has 0 validation speakers under held_out"):
        check("held_out", {"a": Speakers(("01",), (), ("02",))})
    with pytest.raises(CfnsrError, match=r"folds\.a: has 1 validation speakers under test_selected"):
        check("test_selected", {"a": Speakers(("01",), ("03",), ("02",))})


@pytest.mark.parametrize("role", ["validation", "train"])
def test_a_speaker_in_two_sets_is_refused(role: str) -> None:
    sets = {"test": ("01",), "validation": ("02",), "train": ("03",)}
    with pytest.raises(CfnsrError, match="01 are in two sets"):
        Speakers(**{**sets, role: (*sets[role], "01")})


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(CfnsrError, match="no speaker to train"):
        split("held_out", ["01", "02"], {"a": ["01"], "b": ["02"]})


@pytest.mark.parametrize("role", ["test", "validation", "train"])
def test_other_speakers_of_any_set_are_refused(role: str) -> None:
    sets = Speakers(("01",), ("02",), ("03", "04"))
    sets.require(sets.lists(), Path("record.json"))
    with pytest.raises(CfnsrError, match=rf"record\.json: its {role} speakers are 05, 03, the fold's are 0"):
        sets.require({**sets.lists(), role: ["05", "03"]}, Path("record.json"))
