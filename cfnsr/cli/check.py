"""``cfnsr check``."""

from __future__ import annotations

from pathlib import Path

import click

from cfnsr import config
from cfnsr.cli import stage
from cfnsr.errors import CfnsrError
from cfnsr.report.rows import label


@click.command()
@stage.params_option
def check(params: Path) -> None:
    """Check params.yaml: unknown keys, types, ranges, folds, and each system's options; and DVC's own files.

    Example: cfnsr check --params params.yaml
    """
    from cfnsr.cli import dvc_files  # imports parts of DVC, a quarter of a second

    with stage.one_line_errors():
        dvc_files.unharmed(params.parent)
        values = config.load(params)
        _check_checkpoints(params, values)
        _check_systems(params, values)
    rows = [label(*row) for row in values.run.rows]
    seeds = len(values.run.seeds)
    cells = len(rows) * len(values.folds) * seeds
    click.echo(
        f"{params}: {len(values.actors)} speakers, {len(values.folds)} folds, {len(rows)} rows "
        f"({', '.join(rows)}), {seeds} seed{'s' * (seeds > 1)}: {3 * len(values.actors) + cells + 4} stages"
    )


def _check_checkpoints(path: Path, values: config.Params) -> None:
    from cfnsr.models import checkpoint  # imports torch, three seconds that the other commands need not wait

    for name in values.run.evaluate:
        for fold in values.folds:
            file = path.parent / values.evaluate.checkpoints / name / f"{fold}.safetensors"
            if not file.is_file():
                raise CfnsrError(
                    path,
                    f"run.evaluate names {name}, and {file} is missing",
                    "Write it with `cfnsr import-checkpoint`, or take the name out",
                )
            described = checkpoint.specification(file)
            if (described["name"], described["fold"]) != (name, fold):
                raise CfnsrError(
                    file,
                    f"is of {described['name']}, {described['fold']}, not of {name}, {fold}",
                    "Import the right file there",
                )


def _check_systems(path: Path, values: config.Params) -> None:
    from cfnsr.models import (
        fusion,
        summary,  # imports torch, as above
    )

    inputs = summary.Inputs.of(values.extract.video.model_dump(), values.extract.audio.model_dump())
    varied = values.ablations.system
    sections = [("", name, section.options) for name, section in values.systems.items()]
    for name, options in values.ablations.variants.items():
        sections.append((f"ablations.variants.{name}, with it ", varied, {**values.system(varied).options, **options}))
    for variant, name, options in sections:
        try:
            fusion.check(name, options, values.system(name).training is not None)
            summary.build(name, 8, values.encoders.model_dump(), options, inputs)
        except CfnsrError as error:
            where = f"systems.{str(error.where).removeprefix('systems.')}"
            raise CfnsrError(path, f"{variant}{where}: {error.problem}", error.remedy) from error
