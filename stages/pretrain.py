import click

from cfnsr import device, networks
from cfnsr.cell_arguments import cell_arguments
from cfnsr.cells import Cell
from cfnsr.cells.training import run
from cfnsr.config import Params
from cfnsr.entry import note, stage
from cfnsr.fold import Fold
from cfnsr.team import gathered


@stage
@click.argument("modality", type=click.Choice(["video", "audio"]))
@cell_arguments
def main(params: Params, modality, trial, shards, gate, places) -> None:
    """Train one modality alone: under PROTOCOL, on one FOLD, from one SEED; CORPUS is the gate's file.

    \b
    Example: python -m stages.pretrain audio held_out fold_1 1234 data/studio/shards data/studio/corpus.json
             /tmp/model /tmp/cell.json /tmp/predictions.parquet /tmp/curves
    """
    shared = params.train
    team, place = gathered(shared.device, devices=shared.devices, nodes=shared.nodes)
    device.make_reproducible(trial.seed, shared.threads, place, deterministic=shared.deterministic)
    note(device=device.told(place))
    network, specification = networks.unimodal(
        modality, trial, gate, getattr(params.encoders, modality).model_dump(), pixels=params.pixels.model_dump()
    )
    run(
        Cell(network, specification, Fold.open(trial, shards, gate), gate, places),
        training=getattr(params.pretrain, modality).model_dump(),
        shared=shared.model_dump(),
        place=place,
        team=team,
    )


if __name__ == "__main__":
    main()
