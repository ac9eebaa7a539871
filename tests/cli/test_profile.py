"""``cfnsr profile``, and the clock behind it."""

from __future__ import annotations

import re
import time

import pytest
import torch
from torch import nn

from cfnsr.training import clock
from cfnsr.training.clock import Clock
from tests.support.repository import Repository


def test_the_clock_adds_up_each_phase() -> None:
    watch = Clock(torch.device("cpu"))
    for _ in range(2):
        with watch("work"):
            time.sleep(0.02)
        with watch("rest"):
            pass
    assert list(watch.seconds) == ["work", "rest"]
    assert 0.04 <= watch.seconds["work"] < 0.2 and watch.seconds["rest"] < 0.01


def test_making_an_item_is_timed_and_using_it_is_not() -> None:
    def slow() -> object:
        for number in range(3):
            time.sleep(0.02)
            yield number

    watch = Clock(torch.device("cpu"))
    seen = []
    for number in clock.each(slow(), "load", watch):
        time.sleep(0.05)
        seen.append(number)
    assert seen == [0, 1, 2] and 0.06 <= watch.seconds["load"] < 0.15


def test_nothing_is_timed_where_nobody_asks() -> None:
    with clock.unwatched("anything"):
        layer = nn.Identity()
    assert list(clock.each([layer], "load", clock.unwatched)) == [layer]


@pytest.mark.parametrize("name", ["cfnsr", "audio", "cfnsr_no_cross_modal"])
def test_it_prints_where_a_steps_time_goes_and_writes_nothing(finished: Repository, name: str) -> None:
    before = finished.run("git", "status", "--porcelain")
    printed = finished.run("cfnsr", "profile", name, "--steps", "3")
    shares = {phase: int(share) for phase, share in re.findall(r"│ (\w+) +│ +[\d.]+ │ +(\d+)% │", printed)}
    assert list(shares) == ["load", "augment", "forward", "backward", "optimiser", "all"]
    assert abs(sum(shares.values()) - 200) <= 5
    assert re.search(r"Loading and augmenting take \d+% of a step: the (data|network) limit", printed)
    assert finished.run("git", "status", "--porcelain") == before


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("averaging",), "averaging: trains nothing. Name another row"),
        (("ghost",), "systems: no section 'ghost'"),
        (("cfnsr", "--fold", "fold_9"), "no fold 'fold_9'; there are fold_1, fold_2"),
        (("cfnsr", "--data", "docs"), "manifest.json: is missing. Run `dvc repro check`"),
    ],
)
def test_what_cannot_be_profiled_is_told_in_one_line(finished: Repository, given: tuple[str, ...], told: str) -> None:
    printed = finished.run("cfnsr", "profile", *given, status=1)
    assert told in printed and len(printed.strip().splitlines()) == 1
