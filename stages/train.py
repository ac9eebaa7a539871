import click

from cfnsr.cli.job_arguments import cell_arguments
from cfnsr.cli.options import IN_FOLDER
from cfnsr.cli.stage import stage
from cfnsr.cli.timing import log_fact
from cfnsr.config import Params
from cfnsr.data.fold import FoldDatasets
from cfnsr.evaluation import device
from cfnsr.evaluation.late_fusion import combine
from cfnsr.evaluation.outputs import Job
from cfnsr.models import fusion
from cfnsr.training import initial
from cfnsr.training.run import run
from cfnsr.training.team import gathered


@stage
@click.argument("system")
@cell_arguments
@click.option("--models", type=IN_FOLDER, required=True, help="Where the unimodal models of pretrain are.")
@click.option("--unimodal", type=IN_FOLDER, required=True, help="Where their predictions are.")
@click.option("--variant", help="An ablation of it: a name under `ablations.variants`.")
def main(params: Params, system, trial, shards, manifest, places, models, unimodal, variant) -> None:
    """Train one audiovisual SYSTEM, from unimodal models: under PROTOCOL, on one FOLD, from one SEED.

    \b
    Example: python -m stages.train cfnsr held_out fold_1 1234 data/studio/shards data/studio/manifest.json
             /tmp/model /tmp/cell.json /tmp/predictions.parquet /tmp/curves
             --models data/studio/models/held_out --unimodal data/studio/predictions/held_out
    """
    chosen, shared = params.system(system), params.train
    options = {**chosen.options, **(params.variant(variant) if variant else {})}
    fusion.check(system, options, chosen.training is not None)
    alone = {"devices": 1, "nodes": 1} if chosen.training is None else {}
    team, place = gathered(shared.device, **{"devices": shared.devices, "nodes": shared.nodes} | alone)
    device.make_reproducible(trial.seed, shared.threads, place, deterministic=shared.deterministic)
    log_fact(device=device.told(place))
    network, specification = initial.fused(system, options, trial, manifest, models, freeze=shared.freeze_encoders)
    made = Job(network, specification, FoldDatasets.open(trial, shards, manifest), manifest, places)
    if chosen.training is None:
        combine(made, unimodal)
    else:
        run(made, training=chosen.training.model_dump(), shared=shared.model_dump(), place=place, team=team)


if __name__ == "__main__":
    main()
