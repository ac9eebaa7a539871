import click

from cfnsr.cli.job_arguments import cell_arguments
from cfnsr.cli.stage import stage
from cfnsr.cli.timing import log_fact
from cfnsr.config import Params
from cfnsr.data.fold import FoldDatasets
from cfnsr.evaluation import device
from cfnsr.evaluation.outputs import Job
from cfnsr.training import initial
from cfnsr.training.run import run
from cfnsr.training.team import gathered


@stage
@click.argument("modality", type=click.Choice(["video", "audio"]))
@cell_arguments
def main(params: Params, modality, trial, shards, manifest, places) -> None:
    """Train one modality alone: under PROTOCOL, on one FOLD, from one SEED; CORPUS is the manifest.

    \b
    Example: python -m stages.pretrain audio held_out fold_1 1234 data/studio/shards data/studio/manifest.json
             /tmp/model /tmp/cell.json /tmp/predictions.parquet /tmp/curves
    """
    shared = params.train
    team, place = gathered(shared.device, devices=shared.devices, nodes=shared.nodes)
    device.make_reproducible(trial.seed, shared.threads, place, deterministic=shared.deterministic)
    log_fact(device=device.told(place))
    network, specification = initial.unimodal(
        modality, trial, manifest, getattr(params.encoders, modality).model_dump(), pixels=params.pixels.model_dump()
    )
    run(
        Job(network, specification, FoldDatasets.open(trial, shards, manifest), manifest, places),
        training=getattr(params.pretrain, modality).model_dump(),
        shared=shared.model_dump(),
        place=place,
        team=team,
    )


if __name__ == "__main__":
    main()
