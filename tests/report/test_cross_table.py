"""The table of rows that were trained on other corpora, in Markdown, as CSV and on the page."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cfnsr import cli
from cfnsr.report import cross_table, files, results
from cfnsr.report.results import Results
from tests.support import corpus, made_up_results


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder, expected = tmp_path_factory.mktemp("corpus"), made_up_results.expected()
    made_up_results.write_jobs(folder, expected)
    made_up_results.write_cross(folder)
    return results.gather(
        folder, made_up_results.manifest(), expected=replace(expected, cross=("audio",)), ci_level=0.95
    )


@pytest.fixture(scope="module")
def out(figures: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metrics")
    made_up_results.write(folder, corpus.write(folder / "shards"), figures=figures, faces=False)
    return folder


def test_rows_are_read_back_as_written(figures: Results, out: Path) -> None:
    assert len(figures.cross) == 3 and files.read_cross(out) == figures.cross
    metrics = json.loads((out / "metrics.json").read_text())
    assert list(metrics) == ["accuracy", "uar", "clips", "skipped", "cross_accuracy"]
    assert list(metrics["accuracy"]) == list(made_up_results.SKILLS)


def test_markdown_has_a_second_table(figures: Results, out: Path) -> None:
    _, _, section = (out / "report.md").read_text().partition("\n## Trained on other corpora\n")
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert len(lines) == 5 and len({line.count("|") for line in lines}) == 1
    row = figures.cross[0]
    assert lines[2].startswith("| audio | emodb | training clips | anger, happiness, sadness | 33.3 | 24 | ")
    assert (
        f"| {100 * row.held_out:.1f} | {100 * row.held_out_ci_low:.1f}–{100 * row.held_out_ci_high:.1f} |" in lines[2]
    )
    assert "each corpus itself (transductive)" in lines[3] and "emodb, crema_d" in lines[4]
    assert "24 of 32" in section and "without labels" in section and "not known: audio" in section


def test_page_has_the_same_table(figures: Results, out: Path) -> None:
    page = (out / "report.html").read_text()
    section = re.search(r'<section id="cross">.*?</section>', page, re.DOTALL)[0]
    assert (
        section.count("<tr") == 4 and 'class="best"' not in section and "each corpus itself (transductive)" in section
    )
    assert f'data-value="{figures.cross[0].accuracy}"' in section and 'href="#cross"' in page


def test_terminal_has_the_same_table(figures: Results, out: Path, root: Path, tmp_path: Path) -> None:
    shutil.copytree(out, tmp_path / "studio", ignore=shutil.ignore_patterns("shards"))
    arguments = ["results", "--params", str(root / "params.yaml"), "--metrics", str(tmp_path)]
    printed = CliRunner().invoke(cli.main, arguments).output
    assert "Trained on other corpora" in printed and "without labels" in printed
    row = figures.cross[0]
    assert f"{100 * row.ci_low:.1f}–{100 * row.ci_high:.1f}" in printed


def test_without_rows_there_is_no_section(figures: Results, tmp_path: Path) -> None:
    made_up_results.write(tmp_path, corpus.write(tmp_path / "shards"), figures=replace(figures, cross=[]), faces=False)
    assert "other corpora" not in (tmp_path / "report.md").read_text()
    assert '<section id="cross">' not in (tmp_path / "report.html").read_text()
    assert files.read_cross(tmp_path) == [] and "cross_accuracy" not in (tmp_path / "metrics.json").read_text()


def test_weights_that_have_seen_the_corpus_are_marked(figures: Results) -> None:
    row = replace(figures.cross[0], seen="yes", held_out=None, held_out_ci_low=None, held_out_uar=None)
    cells = cross_table.cells_of(row)
    assert cells[0] == "audio, has seen this corpus" and cells[-3:] == ["–", "–", "–"]
    assert len(cells) == len(cross_table.values_of(row)) == len(cross_table.HEADERS)
    assert any("worth nothing" in note for note in cross_table.notes([row], "made_up"))
    assert not any("transductive" in note for note in cross_table.notes([row], "made_up"))
