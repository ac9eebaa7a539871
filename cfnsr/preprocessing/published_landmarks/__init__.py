"""Landmarks that are published apart from a corpus's clips: one file for each corpus that has some, with its name.

Each file has a function ``fetch(folder, *, source, jobs, **options)``, whose options are the corpus's section of
params.yaml. It writes one Parquet file a speaker (``cfnsr.preprocessing.landmarks.write``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cfnsr.runtime import registry


def fetch(corpus: str, folder: Path, **options: Any) -> None:
    """Write the published landmarks of a corpus into a folder; without any, the folder stays empty."""
    if corpus in registry.names(__name__):
        module = registry.load(__name__, corpus, where="corpus", kind="corpus with landmarks")
        module.fetch(folder, **options)
