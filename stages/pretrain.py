from functools import partial
from pathlib import Path

import click

from cfnsr.cli.job_arguments import job_arguments
from cfnsr.cli.stage import stage
from cfnsr.cli.timing import log_fact
from cfnsr.config import Params
from cfnsr.data.jobs import JobPaths
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.evaluation import initial
from cfnsr.models.types import MODALITIES
from cfnsr.training.run import run


@stage
@job_arguments
def main(params: Params, name: str, trial: Trial, corpus_folder: Path, manifest: Manifest, paths: JobPaths) -> None:
    """Train the modality NAME, video or audio, alone, on one FOLD from one SEED.

    Example: python -m stages.pretrain audio held_out fold_1 1234 data/studio
    """
    if name not in MODALITIES:
        raise click.BadParameter(f"{name!r} is not one of {', '.join(MODALITIES)}.", param_hint="NAME")
    section, training = getattr(params.encoders, name), getattr(params.pretrain, name).model_dump()
    encoder = {"name": section.name, **section.options}
    build = partial(initial.unimodal, name, encoder, trial, manifest, pixels=params.pixels.model_dump())
    shared = params.train.model_dump()
    log_fact(device=run(build, trial, corpus_folder, manifest, paths, training=training, shared=shared))


if __name__ == "__main__":
    main()
