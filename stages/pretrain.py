import click

from cfnsr import cells, networks, train
from cfnsr.config import Params
from cfnsr.entry import cell_arguments, stage
from cfnsr.gate import Gate


@stage
@click.argument("modality", type=click.Choice(["video", "audio"]))
@click.argument("fold")
@cell_arguments
def main(params: Params, modality, fold, shards, corpus, model, cell, predictions, curves) -> None:
    """Train one modality alone on one FOLD; CORPUS is the gate's file.

    \b
    Example: python -m stages.pretrain audio fold_1 data/studio/shards data/studio/corpus.json
             /tmp/model /tmp/cell.json /tmp/predictions.parquet /tmp/curves
    """
    gate = Gate.read(corpus)
    device = train.pick_device(params.train.device)
    train.make_reproducible(params.train.seed, params.train.threads, device)
    options = getattr(params.encoders, modality).model_dump()
    network, specification = networks.unimodal(
        modality, fold, gate, options, seed=params.train.seed, pixels=params.pixels.model_dump()
    )
    places = cells.Places(model, cell, predictions, curves)
    cells.run(
        cells.Cell(network, specification, cells.Fold.open(fold, shards, gate), gate, places),
        training=getattr(params.pretrain, modality).model_dump(),
        shared=params.train.model_dump(),
        device=device,
    )


if __name__ == "__main__":
    main()
