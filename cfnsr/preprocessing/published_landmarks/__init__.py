"""Landmarks that are published apart from a corpus's clips: one file for each corpus that has some, of its name.

Such a file offers ``fetch(folder, *, source, jobs, **options)``, with the options of the corpus's section of
params.yaml, and writes one Parquet file a speaker (``cfnsr.preprocessing.landmarks.write``).
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any


def fetch(corpus: str, folder: Path, **options: Any) -> None:
    """Write the landmarks published for a corpus into a folder; where none are, the folder stays empty."""
    if corpus in {module.name for module in iter_modules(__path__)}:
        import_module(f"{__name__}.{corpus}").fetch(folder, **options)
