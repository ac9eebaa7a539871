from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfnsr.data.splits import Speakers, proved, split
from cfnsr.errors import CfnsrError


@given(sizes=st.lists(st.integers(1, 4), min_size=3, max_size=8), untested=st.integers(0, 3))
def test_sets_are_disjoint_complete_and_every_fold_is_tested_once(sizes: list[int], untested: int) -> None:
    actors = [f"{number:02d}" for number in range(sum(sizes) + untested)]
    rest = iter(actors)
    folds = {f"fold_{number}": [next(rest) for _ in range(size)] for number, size in enumerate(sizes, start=1)}
    sets = split("held_out", actors, folds)
    for speakers in sets.values():
        test, validation, train = set(speakers.test), set(speakers.validation), set(speakers.train)
        assert not (test & validation or test & train or validation & train)
        assert test | validation | train == set(actors)
        assert test and validation and train
    everyone = [actor for one in folds.values() for actor in one]
    assert sorted(actor for speakers in sets.values() for actor in speakers.test) == sorted(everyone)
    assert sorted(actor for one in sets.values() for actor in one.validation) == sorted(everyone)


def test_by_hand() -> None:
    sets = split("held_out", ["01", "02", "03", "04"], {"a": ["01"], "b": ["02"], "c": ["03"]})
    assert sets["a"] == Speakers(test=("01",), validation=("02",), train=("03", "04"))
    assert sets["c"] == Speakers(test=("03",), validation=("01",), train=("02", "04"))


def test_the_published_protocol_validates_on_nobody_and_learns_from_everyone_else() -> None:
    sets = split("test_selected", ["01", "02", "03", "04"], {"a": ["01"], "b": ["02"]})
    assert sets["a"] == Speakers(test=("01",), validation=(), train=("02", "03", "04"))


def test_a_fold_that_is_not_of_its_protocol_is_refused() -> None:
    nobody = {"a": Speakers(("01",), (), ("02",))}
    with pytest.raises(CfnsrError, match=r"folds\.a: held_out with 0 speakers to validate"):
        proved("held_out", nobody)
    with pytest.raises(CfnsrError, match=r"folds\.a: published with 1 speakers to validate"):
        proved("test_selected", {"a": Speakers(("01",), ("03",), ("02",))})


@pytest.mark.parametrize("planted", ["validation", "train"])
def test_a_speaker_planted_in_two_sets_is_refused(planted: str) -> None:
    sets = {"test": ("01",), "validation": ("02",), "train": ("03",)}
    with pytest.raises(CfnsrError, match="01 stand in two sets"):
        Speakers(**{**sets, planted: (*sets[planted], "01")})


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(CfnsrError, match="no speaker to train"):
        split("held_out", ["01", "02"], {"a": ["01"], "b": ["02"]})
