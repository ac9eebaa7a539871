from __future__ import annotations

import numpy as np
import pytest

from cfnsr.preprocessing import people


def square(x: float, y: float, side: float) -> np.ndarray:
    return np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2])


def test_no_face_is_nobody() -> None:
    assert people.follow([[], [], []]) == [None, None, None]


def test_one_person_is_followed_through_gaps() -> None:
    assert people.follow([[square(100, 100, 50)], [], [square(110, 100, 52)]]) == [0, None, 0]


def test_person_who_is_seen_longest_is_chosen() -> None:
    near, far = square(100, 100, 80), square(400, 100, 40)
    frames = [[near, far], [far], [far, near], [far]]
    assert people.follow(frames) == [1, 0, 0, 0]


@pytest.mark.parametrize(("face", "chosen"), [("longest", 1), ("largest", 2), ("left", 0), ("right", 2)])
def test_size_or_side_may_choose(face: str, chosen: int) -> None:
    frames = [[square(50, 100, 30), square(200, 100, 40), square(400, 100, 60)]] * 2
    passing, longest = [square(900, 100, 200)], [square(200, 100, 40)]
    assert people.follow([*frames, passing, longest], face)[:2] == [chosen, chosen]


def test_larger_of_two_equally_long_is_chosen() -> None:
    small, large = square(100, 100, 40), square(400, 100, 80)
    assert people.follow([[small, large], [large, small]]) == [1, 0]


def test_people_who_pass_each_other_are_not_mixed() -> None:
    left = [square(100 + 20 * step, 100, 60) for step in range(10)]
    right = [square(300 - 20 * step, 160, 50) for step in range(10)]
    frames = [[right[step], left[step]] if step % 2 else [left[step], right[step]] for step in range(10)]
    assert people.follow(frames) == [step % 2 for step in range(10)]


@pytest.mark.parametrize("distance", [30, 70])
def test_fast_face_is_the_same_within_reach(distance: int) -> None:
    frames = [[square(100 + distance * step, 100, 80), square(900, 100, 20)] for step in range(5)]
    assert people.follow(frames) == [0] * 5


def test_everybody_who_is_seen_often_may_be_chosen() -> None:
    seen = people.People()
    for frame in range(4):
        seen.add(frame, [square(50, 100, 30), square(400, 100, 60)])
    seen.add(4, [square(400, 100, 60), square(900, 100, 200)])
    assert seen.choose("all", range(5)) == [0, 1] and seen.choose("all", [4]) == [1, 2]
    assert seen.choose("left", [4]) == [1] and seen.choose("largest", []) == []
    assert seen.face(2, 4) == 1 and seen.face(2, 0) is None
