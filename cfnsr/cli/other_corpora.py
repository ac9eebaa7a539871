"""Other corpora whose features an earlier run left in ``data``: `run.cross` trains on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from cfnsr import corpora
from cfnsr.config.cross import same_recordings

# What is learned from the synthetic one says nothing of people, and the emotions of a user's folder may be any.
_NEVER = ("studio", "folder")


def is_prepared(data: Path, corpus: str, row: str) -> bool:
    """Return whether a corpus has a manifest, and features of a row.

    Args:
        data: the folder that holds a folder a corpus.
        corpus: its name.
        row: a section of ``features``.
    """
    folder = data / corpus
    return (folder / "manifest.json").is_file() and any((folder / "features" / row).glob("*/extractor.json"))


def prepared(data: Path, corpus: str, rows: Collection[str]) -> dict[str, list[str]]:
    """Find other corpora, and the rows that all of them have.

    A corpus that would leave no row that all have is left out, as are studio, a user's folder, and a corpus with the
    same speakers as another.

    Args:
        data: see ``is_prepared``.
        corpus: that is to be tested.
        rows: of `run.probe`.

    Returns:
        The values of `run.cross`; both lists are empty if there is no such corpus.
    """
    found: list[str] = []
    common = list(rows)
    for other in corpora.names():
        left = [row for row in common if is_prepared(data, other, row)]
        if left and other not in _NEVER and not any(same_recordings(other, name) for name in (corpus, *found)):
            found.append(other)
            common = left
    return {"corpora": found, "rows": common if found else []}


def of_preset(data: Path, values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Find what a preset's `run.cross` is filled with: nothing for studio, or where the preset names corpora."""
    run = values["run"]
    if values["corpus"] == "studio" or run["cross"]["corpora"]:
        return {"corpora": [], "rows": []}
    return prepared(data, values["corpus"], run["probe"])
