import click

from cfnsr import cells, fusion, networks, train
from cfnsr.config import Params
from cfnsr.entry import IN_FOLDER, cell_arguments, stage
from cfnsr.gate import Gate


@stage
@click.argument("system")
@click.argument("fold")
@cell_arguments
@click.option("--models", type=IN_FOLDER, required=True, help="Where the unimodal models of pretrain are.")
@click.option("--unimodal", type=IN_FOLDER, required=True, help="Where their predictions are.")
@click.option("--variant", help="An ablation of it: a name under `ablations.variants`.")
def main(
    params: Params, system, fold, shards, corpus, model, cell, predictions, curves, models, unimodal, variant
) -> None:
    """Train one audiovisual SYSTEM on one FOLD, from that fold's unimodal models; CORPUS is the gate's file.

    \b
    Example: python -m stages.train cfnsr fold_1 data/studio/shards data/studio/corpus.json
             /tmp/model /tmp/cell.json /tmp/predictions.parquet /tmp/curves
             --models data/studio/models --unimodal data/studio/predictions
    """
    gate = Gate.read(corpus)
    chosen = params.system(system)
    options = {**chosen.options, **(params.variant(variant) if variant else {})}
    fusion.check(system, options, chosen.training is not None)
    device = train.pick_device(params.train.device)
    train.make_reproducible(params.train.seed, params.train.threads, device)
    network, specification = networks.fused(system, options, fold, gate, models, seed=params.train.seed)
    places = cells.Places(model, cell, predictions, curves)
    made = cells.Cell(network, specification, cells.Fold.open(fold, shards, gate), gate, places)
    if chosen.training is None:
        cells.combine(made, unimodal)
    else:
        cells.run(made, training=chosen.training.model_dump(), shared=params.train.model_dump(), device=device)


if __name__ == "__main__":
    main()
