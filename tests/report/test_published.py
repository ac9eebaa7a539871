from __future__ import annotations

from pathlib import Path

from cfnsr.report import markdown, published


def test_every_figure_says_how_it_was_measured() -> None:
    headers, rows = published.figures("ravdess_speech")
    figures = [dict(zip(headers, row, strict=True)) for row in rows]
    assert all(all(figure.values()) for figure in figures) and published.ACCURACY in headers
    assert all(60 < float(figure[published.ACCURACY]) < 90 for figure in figures)
    assert {figure["Validation speakers"].split(":")[0] for figure in figures} == {"yes", "no", "not needed"}


def test_other_corpora_have_no_published_figures() -> None:
    assert published.figures("emodb")[1] == []


def test_the_documentation_has_the_same_table(root: Path) -> None:
    text = (root / "docs/protocol.md").read_text(encoding="utf-8")
    assert "\n".join(markdown.published_figures("ravdess")) in text
