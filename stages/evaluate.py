import click

from cfnsr import device, networks
from cfnsr.cell_arguments import cell_arguments
from cfnsr.cells import Cell
from cfnsr.cells.scoring import score
from cfnsr.config import Params
from cfnsr.entry import IN_FILE, note, stage
from cfnsr.fold import Fold


@stage
@click.argument("name")
@cell_arguments
@click.option("--checkpoint", type=IN_FILE, required=True, help="Written by `cfnsr import-checkpoint`.")
def main(params: Params, name, trial, shards, gate, places, checkpoint) -> None:
    """Evaluate the imported network NAME on the test speakers of one FOLD; CORPUS is the gate's file.

    \b
    Example: python -m stages.evaluate cfnsr held_out fold_1 1234 data/ravdess/shards data/ravdess/corpus.json
             /tmp/model /tmp/cell.json /tmp/predictions.parquet /tmp/curves
             --checkpoint checkpoints/cfnsr/fold_1.safetensors
    """
    place = device.pick(params.train.device)
    device.make_reproducible(trial.seed, params.train.threads, place)
    note(device=device.told(place))
    network, specification = networks.imported(checkpoint, name, trial, gate)
    score(
        Cell(network, specification, Fold.open(trial, shards, gate), gate, places),
        batch_size=params.evaluate.batch_size,
        place=place,
    )


if __name__ == "__main__":
    main()
