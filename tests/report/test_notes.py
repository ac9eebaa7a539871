from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cfnsr.report import notes
from cfnsr.report.differences import Difference
from cfnsr.report.rows import ResultRow
from cfnsr.runtime import libraries
from tests.support import made_up_results

IMPORTED = "fold_1 published.pth (sha256 0123456789ab)"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[ResultRow]:
    folder: Path = tmp_path_factory.mktemp("corpus")
    return made_up_results.gathered(folder, made_up_results.manifest()).rows


def noted(rows: list[ResultRow], differences: list[Difference] | None = None, corpus: str = "made_up") -> str:
    return "\n".join(notes.footnotes(rows, differences or [], corpus))


def test_rows_that_are_no_plain_result_are_explained(rows: list[ResultRow]) -> None:
    selected = replace(rows[0], name="video@test_selected", protocol="test_selected")
    imported = replace(rows[0], protocol="imported", imported=IMPORTED)
    assert "the test speakers choose the epoch. All" in noted([*rows, selected])
    assert "held_out" not in noted([selected])
    seen = replace(rows[0], seen="yes")
    assert "the figures are worth nothing: video. They are not compared" in noted([seen, rows[1]])
    assert "is not known: video." in noted([replace(rows[0], seen="unknown"), rows[1]])
    assert "Imported, not trained here" in noted([imported]) and f"video: {IMPORTED}." in noted([imported])
    assert "Imported" not in noted(rows) and "Rows @test_selected" not in noted(rows)


def test_different_libraries_are_named(rows: list[ResultRow]) -> None:
    assert "Made with torch 2.10.0." in noted(rows)
    other = replace(rows[1], libraries="torch 2.11.0")
    assert "reason alone: video: torch 2.10.0; audio: torch 2.11.0." in noted([rows[0], other])
    mixed = [replace(row, libraries="av 17.0.0, torch 2.10.0 and 2.11.0") for row in rows]
    assert "reason alone: video, audio, cfnsr: torch 2.10.0 and 2.11.0. `dvc repro -f`" in noted(mixed)


def test_output_that_names_no_library_is_unknown() -> None:
    assert libraries.listed([{"torch": "2.10.0"}, {}]) == "torch 2.10.0 and unknown"


def test_intervals_over_shards_say_so(rows: list[ResultRow]) -> None:
    assert "95 % confidence over speakers" in noted(rows)
    sharded = [replace(row, units="shards of speakers") for row in rows]
    assert "95 % confidence over shards of speakers" in noted(sharded)


def test_footnotes_name_modalities_and_reconstructions(rows: list[ResultRow]) -> None:
    text = noted([*rows, replace(rows[2], name="mmtm", reconstructed="its widths")])
    assert "Voice alone: audio." in text and "Face alone: video." in text
    assert "mmtm is a reconstruction: its widths." in text


def test_footnotes_list_differences_that_survive_correction(rows: list[ResultRow]) -> None:
    differences = [Difference("a", "b", -0.2, 0.01, 0.03), Difference("a", "c", 0.2, 0.04, 0.08)]
    (note,) = [note for note in notes.footnotes(rows, differences, "made_up") if note.startswith("p (best)")]
    assert "a below b by 20.0 (p 0.030)" in note and "above" not in note and "all 2 pairs" in note
    assert "differ at 5 %: none." in noted(rows, differences[1:])


def test_only_studio_is_called_synthetic(rows: list[ResultRow]) -> None:
    assert notes.STUDIO_NOTE in noted(rows, corpus="studio") and notes.STUDIO_NOTE not in noted(rows)
