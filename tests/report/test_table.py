from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cfnsr.report import table
from cfnsr.report.rows import ResultRow
from tests.support import made_up_results


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[ResultRow]:
    folder: Path = tmp_path_factory.mktemp("corpus")
    return made_up_results.gathered(folder, made_up_results.manifest()).rows


def by_column(row: ResultRow) -> dict[str, str]:
    return dict(zip([column.name for column in table.COLUMNS], table.cells_of(row), strict=True))


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
        "Frozen",
    }


def test_rows_that_are_no_plain_result_say_so(rows: list[ResultRow]) -> None:
    def named(**changes: str) -> str:
        return by_column(replace(rows[0], **changes))["System"]

    assert named(name="video@test_selected", protocol="test_selected") == "video@test_selected, optimistic"
    assert named(protocol="imported", imported="fold_1 published.pth") == "video, imported"
    assert named(seen="yes") == "video, has seen this corpus" and named(seen="unknown") == "video"


def test_frozen_encoders_have_columns_of_their_own(rows: list[ResultRow]) -> None:
    def names(rows: list[ResultRow]) -> set[str]:
        return {column.name for column in table.columns_of(rows)}

    frozen = replace(rows[1], parameters=8_208_000, frozen_parameters=7_600_000, seen="unknown")
    cells = by_column(frozen)
    assert (cells["Parameters"], cells["Frozen"], cells["Seen"]) == ("8,208,000", "7.6 M", "unknown")
    assert names([*rows, frozen]) - names(rows) == {"Frozen", "Seen"}
    assert by_column(rows[0])["Frozen"] == "–" and "No face" not in names([frozen])
    assert {"Frozen", "Seen"} <= names([replace(rows[0], seen="yes")])  # of an encoder without weights of its own
