from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfnsr.corpora import filenames
from cfnsr.corpora.filenames import Take
from cfnsr.errors import CfnsrError

TAKES = st.builds(
    Take,
    label=st.sampled_from(filenames.LABELS),
    intensity=st.sampled_from(filenames.INTENSITIES),
    statement=st.integers(1, 2),
    repetition=st.integers(1, 2),
)


@given(take=TAKES, number=st.integers(0, 99))
def test_name_states_take_and_actor(take: Take, number: int) -> None:
    actor = f"{number:02d}"
    assert filenames.parse(Path("folder") / f"{filenames.stem(take, actor)}.mp4") == (take, actor)


@pytest.mark.parametrize(
    "stem",
    [
        "01-01-03-01-02-01",
        "01-01-09-01-02-01-04",
        "01-01-03-01-02-01-4",
        "talk",
        "",
        "01-01-03-01-02-01-04\n",
        "٠١-01-03-01-02-01-04",
        "01-01-03-01-02-01-04-$(id)",
    ],
)
def test_other_name_is_refused(stem: str) -> None:
    with pytest.raises(CfnsrError, match="not a RAVDESS file name"):
        filenames.parse(Path(f"{stem}.mp4"))


@given(st.text(max_size=40))
def test_any_name_is_parsed_or_refused(stem: str) -> None:
    try:
        _, actor = filenames.parse(Path(f"{stem.replace('/', '')}.mp4"))
    except CfnsrError as error:
        assert str(error).isprintable()
    else:
        assert actor.isascii() and actor.isdigit()


def test_actor_has_sixty_takes() -> None:
    takes = filenames.takes((1, 2), 2, filenames.INTENSITIES)
    assert len(set(takes)) == len(takes) == 60
    assert [take.label for take in takes].count("neutral") == 4
    assert all([take.label for take in takes].count(label) == 8 for label in filenames.LABELS[1:])
