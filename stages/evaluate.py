import click

from cfnsr.cli.job_arguments import cell_arguments
from cfnsr.cli.options import IN_FILE
from cfnsr.cli.stage import stage
from cfnsr.cli.timing import log_fact
from cfnsr.config import Params
from cfnsr.data.fold import FoldDatasets
from cfnsr.evaluation import device
from cfnsr.evaluation.imported import score
from cfnsr.evaluation.outputs import Job
from cfnsr.training import initial


@stage
@click.argument("name")
@cell_arguments
@click.option("--checkpoint", type=IN_FILE, required=True, help="Written by `cfnsr import-checkpoint`.")
def main(params: Params, name, trial, shards, manifest, places, checkpoint) -> None:
    """Evaluate the imported network NAME on the test speakers of one FOLD; CORPUS is the manifest.

    \b
    Example: python -m stages.evaluate cfnsr held_out fold_1 1234 data/ravdess/shards data/ravdess/manifest.json
             /tmp/model /tmp/cell.json /tmp/predictions.parquet /tmp/curves
             --checkpoint checkpoints/cfnsr/fold_1.safetensors
    """
    place = device.pick(params.train.device)
    device.make_reproducible(trial.seed, params.train.threads, place)
    log_fact(device=device.told(place))
    network, specification = initial.imported(checkpoint, name, trial, manifest)
    score(
        Job(network, specification, FoldDatasets.open(trial, shards, manifest), manifest, places),
        batch_size=params.evaluate.batch_size,
        place=place,
    )


if __name__ == "__main__":
    main()
