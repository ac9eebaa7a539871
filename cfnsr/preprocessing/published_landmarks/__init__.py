"""Landmarks that are published apart from a corpus's clips: one file for each corpus that has some, of its name.

Each offers ``landmarks(folder, *, source, jobs, **options)``, with the options of the corpus's section of
params.yaml: it writes one Parquet file a speaker (``cfnsr.preprocessing.landmarks.write``).
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any


def landmarks(corpus: str, folder: Path, **options: Any) -> None:
    """Write what is published for a corpus into a folder; where nothing is, the folder stays empty."""
    if corpus in {module.name for module in iter_modules(__path__)}:
        import_module(f"{__name__}.{corpus}").landmarks(folder, **options)
