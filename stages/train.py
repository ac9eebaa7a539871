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
from cfnsr.errors import CfnsrError
from cfnsr.evaluation import initial
from cfnsr.models import fusion
from cfnsr.training.run import run


@stage
@job_arguments
@click.option("--variant", help="Train this ablation: a name under `ablations.variants`.")
def main(
    params: Params,
    name: str,
    trial: Trial,
    corpus_folder: Path,
    manifest: Manifest,
    paths: JobPaths,
    variant: str | None,
) -> None:
    """Train the audiovisual system NAME from its unimodal networks, on one FOLD from one SEED.

    Example: python -m stages.train cfnsr held_out fold_1 1234 data/studio
    """
    system = params.system(name)
    options = {**system.options, **(params.variant(variant) if variant else {})}
    fusion.check(name, options, system.training is not None)
    if system.training is None:
        raise CfnsrError(f"systems.{name}", "trains nothing", "Add it to run.combine")
    shared = params.train
    freeze = {"freeze_encoders": shared.freeze_encoders}
    build = partial(initial.fused, name, options, trial, corpus_folder, manifest, **freeze)
    training = system.training.model_dump()
    log_fact(device=run(build, trial, corpus_folder, manifest, paths, training=training, shared=shared.model_dump()))


if __name__ == "__main__":
    main()
