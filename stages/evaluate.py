import click

from cfnsr import cells, networks, train
from cfnsr.config import Params
from cfnsr.entry import IN_FILE, cell_arguments, stage
from cfnsr.gate import Gate


@stage
@click.argument("name")
@click.argument("fold")
@cell_arguments
@click.option("--checkpoint", type=IN_FILE, required=True, help="Written by `cfnsr import-checkpoint`.")
def main(params: Params, name, fold, shards, corpus, model, cell, predictions, curves, checkpoint) -> None:
    """Evaluate the imported network NAME on the test speakers of one FOLD; CORPUS is the gate's file.

    \b
    Example: python -m stages.evaluate cfnsr fold_1 data/ravdess/shards data/ravdess/corpus.json
             /tmp/model /tmp/cell.json /tmp/predictions.parquet /tmp/curves
             --checkpoint checkpoints/cfnsr/fold_1.safetensors
    """
    gate = Gate.read(corpus)
    device = train.pick_device(params.train.device)
    train.make_reproducible(params.train.seed, params.train.threads, device)
    network, specification = networks.imported(checkpoint, name, fold, gate, seed=params.train.seed)
    places = cells.Places(model, cell, predictions, curves)
    cells.score(
        cells.Cell(network, specification, cells.Fold.open(fold, shards, gate), gate, places),
        batch_size=params.evaluate.batch_size,
        device=device,
    )


if __name__ == "__main__":
    main()
