"""Train one modality alone."""

from functools import partial
from pathlib import Path

from cfnsr.cli.job_arguments import job_arguments
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.data.jobs import JobPaths
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.training import initial
from cfnsr.training.run import run


@stage
@job_arguments
def main(
    params: Params, name: str, trial: Trial, corpus_folder: Path, manifest: Manifest, paths: JobPaths
) -> None:
    """Train the modality NAME, video or audio, alone: under PROTOCOL, on one FOLD, from one SEED.

    Example: python -m stages.pretrain audio held_out fold_1 1234 data/studio
    """
    encoder, training = getattr(params.encoders, name).model_dump(), getattr(params.pretrain, name).model_dump()
    build = partial(initial.unimodal, name, encoder, trial, manifest, pixels=params.pixels.model_dump())
    run(build, trial, corpus_folder, manifest, paths, training=training, shared=params.train.model_dump())


if __name__ == "__main__":
    main()
