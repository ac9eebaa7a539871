"""What the stages share that make one cell of the table: which cell, what it reads, where its outputs go."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

<<<<<<< HEAD
from cfnsr.cli.stage import IN_FOLDER
=======
from cfnsr.cli.options import IN_FILE, OF_ROOT, OUT_FILE, OUT_FOLDER
from cfnsr.cli.stage import resume
>>>>>>> prep
from cfnsr.config import Params
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import PROTOCOLS, Trial
from cfnsr.evaluation.outputs import JobPaths

_ARGUMENTS: dict[str, Any] = {
    "protocol": click.Choice(PROTOCOLS),
    "fold": click.STRING,
    "seed": click.IntRange(0, 2**32 - 1),
    "shards": OF_ROOT,  # what is not on this machine may be in the store
    "corpus": IN_FILE,
    "model": OUT_FOLDER,
    "cell": OUT_FILE,
    "predictions": OUT_FILE,
    "curves": OUT_FOLDER,
}


def cell_arguments(function: Callable[..., None]) -> Callable[..., None]:
    """Give a stage's function ``trial``, ``shards``, ``manifest`` and ``places``, from what the command line says."""

    @functools.wraps(function)
    def run(
        params: Params,
        protocol: str,
        fold: str,
        seed: int,
        shards: Path,
        corpus: Path,
        model: Path,
        cell: Path,
        predictions: Path,
        curves: Path,
        **others: object,
    ) -> None:
        places = JobPaths(model, cell, predictions, curves, resume(cell))
        trial = Trial(protocol, fold, seed)
        function(params, trial=trial, shards=shards, manifest=Manifest.read(corpus), places=places, **others)

    wrapped: Callable[..., None] = run
    for name in reversed(_ARGUMENTS):
        wrapped = click.argument(name, type=_ARGUMENTS[name])(wrapped)
    return wrapped
