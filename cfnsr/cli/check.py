"""``cfnsr check``."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import click

from cfnsr import config
from cfnsr.cli import labels_files, other_corpora
from cfnsr.cli.models import untrained_spec
from cfnsr.cli.options import DATA, METRICS, params_option
from cfnsr.cli.stage import echo
from cfnsr.errors import CfnsrError
from cfnsr.report.expected import label
from cfnsr.runtime import dvc_cache, dvc_folders, dvc_repository, libraries

_NAMED = 10  # damaged objects in an error


@click.command()
@params_option
@click.option(
    "--deep",
    is_flag=True,
    help="Read every object of DVC's cache, and every file taken from it; without it, sizes are compared.",
)
@click.option("--mend", is_flag=True, help="Remove damaged objects, so that `dvc repro` makes them again.")
def check(params: Path, deep: bool, mend: bool) -> None:
    """Check params.yaml, DVC's own files and its cache before any work.

    Finds unknown keys, wrong types, values out of range, folds that share speakers, options that no network can be
    built with, missing checkpoints, missing features of other corpora, a labels file that changed since
    `cfnsr folder` read it, files that a killed DVC left incomplete, folders that DVC cannot write, and objects of
    DVC's cache that a power cut left truncated.

    \b
    Examples:
      cfnsr check
      cfnsr check --deep --mend
      cfnsr check --params other.yaml
    """
    root = params.parent
    values = config.load(params)
    notes = labels_files.check(values.corpus, **getattr(values.corpora, values.corpus).model_dump())
    entries = dvc_repository.check_files(root)
    notes += dvc_folders.check(root, entries)
    _check_cache(root, entries, deep, mend)
    _check_checkpoints(params, values)
    _check_other_corpora(params, values)
    _check_systems(params, values)
    rows = [label(*row) for row in values.run.rows]
    seeds = len(values.run.seeds)
    echo(
        f"{params}: {len(values.actors)} {values.units(values.corpus)}, {len(values.folds)} folds, {len(rows)} rows "
        f"({', '.join(rows)}), {seeds} seed{'s' * (seeds > 1)}: "
        f"{dvc_repository.stage_count(root, values.model_dump())} stages"
    )
    for note in notes:
        echo(f"note: {note}")
    _say_libraries(root / METRICS / values.corpus)


def _say_libraries(metrics: Path) -> None:
    """Say if the results were made with other libraries than those installed, which DVC does not see."""
    from cfnsr.report.results import read_table  # imports pandas, which takes time: only after params.yaml is checked

    path = metrics / "results.csv"
    if not path.is_file():
        return
    installed = libraries.listed([libraries.versions()])
    try:
        table = read_table(path, (), dtype=str, keep_default_na=False)
    except CfnsrError as error:  # the next run writes it again
        echo(f"note: {error.where}: {error.problem}")
        return
    recorded = [] if "libraries" not in table else table["libraries"].tolist()  # an older table lacks them
    for made_with in filter(None, dict.fromkeys(recorded)):
        before, now = libraries.differing([made_with, installed])
        if before:
            echo(
                f"{path}: was made with {before}, and {now} is installed. `dvc repro` keeps what it "
                "has; `dvc repro -f` makes all again"
            )


def _check_cache(root: Path, entries: dict[str, Any], deep: bool, mend: bool) -> None:
    """Check that the objects of DVC's cache are what dvc.lock says; remove those that are not if ``mend``."""
    found = dvc_cache.damaged(root, entries, deep=deep)
    if mend:
        for path in (path for damage in found for path in dvc_cache.remove(damage)):
            echo(f"removed {path}")
        if found:
            echo("`dvc repro` makes these again; `dvc pull` fetches them")
    elif found:
        names = [str(damage) for damage in found]
        more = f" and {len(names) - _NAMED} more" * (len(names) > _NAMED)
        problem = f"damaged in DVC's cache: {', '.join(names[:_NAMED])}{more}"
        remedy = f"Run `cfnsr check{' --deep' * deep} --mend`, then `dvc repro`"
        raise CfnsrError(dvc_repository.cache_folder(root), problem, remedy)


def _check_checkpoints(path: Path, values: config.Params) -> None:
    """Check that each checkpoint of `run.evaluate` exists and belongs to its network and fold."""
    from cfnsr.models import checkpoint  # imports torch, which takes seconds: only after params.yaml is checked

    for name in values.run.evaluate:
        for fold in values.folds:
            file = path.parent / values.evaluate.checkpoints / name / f"{fold}.safetensors"
            if not file.is_file():
                problem = f"run.evaluate names {name}, and {file} is missing"
                raise CfnsrError(
                    path, problem, "Write it with `cfnsr import-checkpoint`, or remove the name from run.evaluate"
                )
            spec = checkpoint.read_spec(file)
            if (spec.name, spec.fold) != (name, fold):
                problem = f"is of {spec.name}, {spec.fold}, not of {name}, {fold}"
                raise CfnsrError(file, problem, "Import the right file to this path")


def _check_other_corpora(path: Path, values: config.Params) -> None:
    """Check that each corpus of `run.cross` was prepared, with features of each of its rows."""
    for corpus, row in product(values.run.cross.corpora, values.run.cross.rows):
        if not other_corpora.is_prepared(path.parent / DATA, corpus, row):
            problem = f"run.cross names {corpus}, and data/{corpus} has no manifest, or no features of {row}"
            remedy = f"Run `cfnsr preset {corpus}` and `dvc repro features check` first, or remove it from run.cross"
            raise CfnsrError(path, problem, remedy)


def _check_systems(path: Path, values: config.Params) -> None:
    """Check that a network can be built from each encoder's and system's options."""
    from cfnsr.models import fusion, summary  # import torch, as above

    varied = values.ablations.system
    sections = [("", name, section.options) for name, section in values.systems.items()]
    for name, options in values.ablations.variants.items():
        sections.append((f"ablations.variants.{name}, with it ", varied, {**values.system(varied).options, **options}))
    for variant, name, options in sections:
        try:
            fusion.check(name, options, values.system(name).training is not None)
            summary.build(untrained_spec(values, name, options))
        except CfnsrError as error:
            raise CfnsrError(path, f"{variant}{error.where}: {error.problem}", error.remedy) from error
