from __future__ import annotations

import shutil
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cfnsr import cli, config
from cfnsr.config import folds, preset
from cfnsr.corpora import ravdess
from cfnsr.errors import CfnsrError

RAVDESS = [f"{number:02d}" for number in range(1, 25)]


def test_published_folds_hold_the_published_actors() -> None:
    fours = folds.named("consecutive_fours", "ravdess", RAVDESS, 6)
    assert list(fours) == [f"fold_{number}" for number in range(1, 7)]
    assert fours["fold_1"] == ["01", "02", "03", "04"] and fours["fold_6"] == ["21", "22", "23", "24"]
    emobox = folds.named("emobox", "ravdess", RAVDESS, 6)
    assert emobox["fold_1"] == ["01", "11", "20", "21"] and emobox["fold_6"] == ["06", "13", "17", "22"]


@pytest.mark.parametrize("name", folds.names())
def test_each_speaker_tests_in_one_fold(name: str) -> None:
    made = folds.named(name, "ravdess", RAVDESS[::-1], 5)
    assert sorted(chain(*made.values())) == RAVDESS


def test_leaving_one_out_names_folds_by_speaker() -> None:
    assert folds.named("leave_one_speaker_out", "studio", ["b", "a", "c"], 6) == {
        "fold_a": ["a"],
        "fold_b": ["b"],
        "fold_c": ["c"],
    }


@pytest.mark.parametrize("count", [3, 4, 5, 6])
def test_balanced_folds_differ_by_one_at_most(count: int) -> None:
    made = folds.named("balanced", "ravdess", RAVDESS, count).values()
    assert len(made) == count and max(map(len, made)) - min(map(len, made)) <= 1
    women = [Counter(map(ravdess.gender, speakers))["female"] for speakers in made]
    assert max(women) - min(women) <= 1


@pytest.mark.parametrize(
    ("name", "corpus", "speakers", "problem"),
    [
        ("sixes", "ravdess", RAVDESS, "there are no folds 'sixes'"),
        ("emobox", "ravdess", RAVDESS[:20], "needs the 24 actors of RAVDESS; corpus is ravdess, with 20 actors"),
        ("emobox", "studio", RAVDESS, "corpus is studio"),
        ("consecutive_fours", "ravdess", RAVDESS[:14], "a multiple of four speakers; actors has 14"),
        ("consecutive_fours", "ravdess", RAVDESS[:8], "makes 2 folds of 8 speakers"),
        ("leave_one_speaker_out", "ravdess", RAVDESS[:2], "makes 2 folds of 2 speakers"),
        ("balanced", "ravdess", RAVDESS[:5], "too few for 6 folds"),
        ("balanced", "folder", RAVDESS, "your own videos"),
    ],
)
def test_names_that_do_not_fit_are_refused(name: str, corpus: str, speakers: list[str], problem: str) -> None:
    with pytest.raises(CfnsrError, match=problem):
        folds.named(name, corpus, speakers, 6)


@pytest.fixture
def params(tmp_path: Path, root: Path) -> Path:
    path = Path(shutil.copy(root / "params.yaml", tmp_path))
    preset.apply(path, root / "presets/ravdess.yaml")
    return path


def run(params: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["folds", *arguments, "--params", str(params)])


def test_names_are_listed_with_their_meaning(params: Path) -> None:
    lines = run(params).output.splitlines()
    assert [line.split()[0] for line in lines] == list(folds.names()) and all(len(line) <= 120 for line in lines)


def test_the_command_writes_folds_and_keeps_comments(params: Path) -> None:
    before = params.read_text()
    result = run(params, "emobox")
    assert result.exit_code == 0 and result.output.startswith("folds: {fold_1: [01, 02, 03, 04]")
    assert config.load(params).folds["fold_2"] == ["04", "10", "12", "14"]
    assert run(params, "emobox").output == "nothing to change\n"
    assert run(params, "consecutive_fours").exit_code == 0 and params.read_text() == before


def test_a_name_in_the_file_is_explained(params: Path) -> None:
    text = params.read_text()
    start, end = text.index("folds:\n"), text.index("\n# How each corpus")
    params.write_text(text[:start] + "folds: emobox\n" + text[end:])
    with pytest.raises(CfnsrError, match="`cfnsr folds emobox` writes that list"):
        config.load(params)
    assert run(params, "emobox").exit_code == 0 and len(config.load(params).folds) == 6


def test_a_faulty_call_leaves_the_file(params: Path) -> None:
    before = params.read_bytes()
    for arguments in (["sixes"], ["balanced", "--count", "25"]):
        assert run(params, *arguments).exit_code and params.read_bytes() == before
