"""Landmarks that are published apart from a corpus's clips: one file for each corpus that has some, of its name.

Such a file offers ``fetch(folder, *, source, jobs, **options)``, with the options of the corpus's section of
params.yaml, and writes one Parquet file a speaker (``cfnsr.preprocessing.landmarks.write``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cfnsr.runtime import registry


def fetch(corpus: str, folder: Path, **options: Any) -> None:
    """Write the landmarks published for a corpus into a folder; where none are, the folder stays empty."""
    if corpus in registry.names(__name__):
        module = registry.load(__name__, corpus, where="corpus", kind="corpus with landmarks")
        module.fetch(folder, **options)
