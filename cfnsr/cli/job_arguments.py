"""The command-line arguments of the stages that run one job."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import click

from cfnsr.cli.options import IN_FOLDER
from cfnsr.cli.timing import log_fact
from cfnsr.data.jobs import JobPaths
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import PROTOCOLS, Trial

_ARGUMENTS: dict[str, click.ParamType] = {
    "name": click.STRING,
    "protocol": click.Choice(PROTOCOLS),
    "fold": click.STRING,
    "seed": click.IntRange(0, 2**32 - 1),
    "corpus_folder": IN_FOLDER,
}


def job_arguments(main: Callable[..., None]) -> Callable[..., None]:
    """Read NAME PROTOCOL FOLD SEED CORPUS_FOLDER from the command line.

    Args:
        main: a stage's function; gets ``name``, ``trial``, ``corpus_folder``, ``manifest`` and ``paths``, those of the
            job that its option ``variant`` names, and without one of ``name``.
    """

    @functools.wraps(main)
    def run(
        params: object, name: str, protocol: str, fold: str, seed: int, corpus_folder: Path, **options: object
    ) -> None:
        trial = Trial(protocol, fold, seed)
        row = str(options.get("variant") or name)
        log_fact(protocol=protocol, row=row)
        main(
            params,
            name=name,
            trial=trial,
            corpus_folder=corpus_folder,
            manifest=Manifest.read(corpus_folder / "manifest.json"),
            paths=JobPaths.of(corpus_folder, row, trial),
            **options,
        )

    command: Callable[..., None] = run
    for argument, kind in reversed(_ARGUMENTS.items()):
        command = click.argument(argument, type=kind)(command)
    return command
