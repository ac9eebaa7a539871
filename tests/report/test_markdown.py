from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cfnsr.report import markdown, table
from cfnsr.report.differences import Difference
from cfnsr.report.rows import ResultRow
from tests.support import made_up_results


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[ResultRow]:
    folder: Path = tmp_path_factory.mktemp("corpus")
    return made_up_results.gathered(folder, made_up_results.manifest()).rows


def test_markdown_has_every_row_and_pair(rows: list[ResultRow]) -> None:
    text = markdown.write(rows, [Difference("a", "b", 0.5, 0.0625, 0.125)], "made_up", {})
    assert text.startswith("# made_up: 32 clips, 4 speakers, 4 folds\n")
    columns = table.columns_of(rows)
    assert all(f"| {' | '.join(table.cells_of(row, columns))} |" in text for row in rows)
    assert "| a | b | +50.0 | 0.0625 | 0.1250 |" in text and "Skipped" not in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| ") and "Accuracy" in line}
    assert widths == {len(columns) + 1}


def test_skipped_clips_are_plain_text_in_markdown(rows: list[ResultRow]) -> None:
    skipped = {"01/<b>|x": "has `no` sound", "02/y": "black"}
    text = markdown.write([replace(row, skipped=2) for row in rows], [], "made_up", skipped)
    assert "2 more clips could not be used" in text
    assert "| 01/&#60;b&#62;&#124;x | has &#96;no&#96; sound |" in text and "| 02/y | black |" in text


@pytest.mark.parametrize("corpus", ["ravdess", "ravdess_speech", "emodb"])
def test_published_figures_stand_under_ravdess_alone(rows: list[ResultRow], corpus: str) -> None:
    text = markdown.write(rows, [], corpus, {})
    assert ("## Published figures" in text) == ("As read, not measured here" in text) == (corpus != "emodb")
    assert ("| HiCMAE | arXiv:2401.05698 |" in text) == (corpus != "emodb")


def test_texts_of_a_models_header_are_no_markup(rows: list[ResultRow]) -> None:
    hostile = "<img src=x onerror=alert(1)> [a](https://a.example) www.a.example | **b** ` _c_ \x1b[2J\nd"
    row = replace(rows[0], name="cfnsr_no_residual", imported=hostile, reconstructed=hostile)
    text = markdown.write([row], [Difference(hostile, "b", 0.5, 0.01, 0.01)], "made_up", {})
    assert "cfnsr_no_residual" in text and text.count("&#60;img src=x onerror=alert(1)&#62;") >= 3
    for part in ("<img", "[a]", "https://", "www.", "**", "_c_", "\x1b", "\nd"):
        assert part not in text
