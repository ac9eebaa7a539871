from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cfnsr.report import table
from cfnsr.report.rows import Difference, ResultRow
from tests.support import made_up_results

IMPORTED = "fold_1 published.pth (sha256 0123456789ab)"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[ResultRow]:
    folder: Path = tmp_path_factory.mktemp("corpus")
    return made_up_results.gathered(folder, made_up_results.manifest()).rows


def by_column(row: ResultRow) -> dict[str, str]:
    return dict(zip([column.name for column in table.COLUMNS], table.cells_of(row), strict=True))


def notes(rows: list[ResultRow], differences: list[Difference] | None = None, corpus: str = "made_up") -> str:
    return "\n".join(table.footnotes(rows, differences or [], corpus))


def test_cells_are_formatted_figures(rows: list[ResultRow]) -> None:
    row = replace(rows[2], accuracy=0.12345, ci_low=0.0, ci_high=0.5, p_best=0.0004, gap=-0.01, parameters=1234567)
    cells = by_column(row)
    assert (cells["System"], cells["Accuracy"], cells["Interval"]) == ("cfnsr", "12.3", "0.0–50.0")
    assert (cells["p (best)"], cells["Gap"], cells["Parameters"]) == ("0.000", "-1.0", "1,234,567")


def test_missing_figures_are_dashes(rows: list[ResultRow]) -> None:
    names = ("std_seeds", "last_epoch", "best_test_epoch", "gap", "without_video", "without_audio", "ece_scaled")
    row = replace(rows[0], p_best=None, **dict.fromkeys(names))
    assert {name for name, text in by_column(row).items() if text == "–"} == {
        *("± seeds", "ECE scaled", "Last epoch", "Best test epoch", "Gap", "No face", "No voice", "p (best)"),
        "Published",
    }


def test_rows_that_are_no_plain_result_say_so(rows: list[ResultRow]) -> None:
    selected = replace(rows[0], name="video@test_selected", protocol="test_selected")
    imported = replace(rows[0], protocol="imported", imported=IMPORTED)
    assert by_column(selected)["System"] == "video@test_selected, optimistic"
    assert by_column(imported)["System"] == "video, imported"
    assert "the test speakers choose the epoch. All" in notes([*rows, selected])
    assert "held_out" not in notes([selected])
    seen = replace(rows[0], seen="yes")
    assert by_column(seen)["System"] == "video, has seen this corpus"
    assert "the figures are worth nothing: video. They are not compared" in notes([seen, rows[1]])
    assert "is not known: video." in notes([replace(rows[0], seen="unknown"), rows[1]])
    assert "Imported, not trained here" in notes([imported]) and f"video: {IMPORTED}." in notes([imported])
    assert "Imported" not in notes(rows) and "Rows @test_selected" not in notes(rows)


def test_footnotes_name_modalities_and_reconstructions(rows: list[ResultRow]) -> None:
    text = notes([*rows, replace(rows[2], name="mmtm", reconstructed="its widths")])
    assert "Voice alone: audio." in text and "Face alone: video." in text
    assert "mmtm is a reconstruction: its widths." in text


def test_footnotes_list_differences_that_survive_correction(rows: list[ResultRow]) -> None:
    differences = [Difference("a", "b", -0.2, 0.01, 0.03), Difference("a", "c", 0.2, 0.04, 0.08)]
    (note,) = [note for note in table.footnotes(rows, differences, "made_up") if note.startswith("p (best)")]
    assert "a below b by 20.0 (p 0.030)" in note and "above" not in note and "all 2 pairs" in note
    assert "differ at 5 %: none." in notes(rows, differences[1:])


def test_only_studio_is_called_synthetic(rows: list[ResultRow]) -> None:
    assert table.STUDIO_NOTE in notes(rows, corpus="studio") and table.STUDIO_NOTE not in notes(rows)


def test_markdown_has_every_row_and_pair(rows: list[ResultRow]) -> None:
    text = table.markdown(rows, [Difference("a", "b", 0.5, 0.0625, 0.125)], "made_up", {})
    assert text.startswith("# made_up: 32 clips, 4 speakers, 4 folds\n")
    assert all(f"| {' | '.join(table.cells_of(row))} |" in text for row in rows)
    assert "| a | b | +50.0 | 0.0625 | 0.1250 |" in text and "Skipped" not in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| ") and "Accuracy" in line}
    assert widths == {len(table.COLUMNS) + 1}


def test_skipped_clips_are_plain_text_in_markdown(rows: list[ResultRow]) -> None:
    skipped = {"01/<b>|x": "has `no` sound", "02/y": "black"}
    text = table.markdown([replace(row, skipped=2) for row in rows], [], "made_up", skipped)
    assert "2 more clips could not be used" in text
    assert "| 01/&#60;b&#62;&#124;x | has &#96;no&#96; sound |" in text and "| 02/y | black |" in text
