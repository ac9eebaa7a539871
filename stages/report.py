import click

from cfnsr import fan_in, report
from cfnsr.config import Params
from cfnsr.entry import IN_FILE, IN_FOLDER, OUT_FOLDER, stage
from cfnsr.gate import Gate


@stage
@click.argument("cells", type=IN_FOLDER)
@click.argument("predictions", type=IN_FOLDER)
@click.argument("curves", type=IN_FOLDER)
@click.argument("corpus", type=IN_FILE)
@click.argument("out", type=OUT_FOLDER)
def main(params: Params, cells, predictions, curves, corpus, out) -> None:
    """Gather the cells into metrics, plots and one table in OUT; CORPUS is the gate's file.

    \b
    Example: python -m stages.report data/studio/cells data/studio/predictions data/studio/curves
             data/studio/corpus.json metrics/studio
    """
    names = params.run.names
    gate = Gate.read(corpus)
    for folder, ending in ((cells, ".json"), (predictions, ".parquet"), (curves, "")):
        for path in fan_in.keep(folder, [f"{name}/{fold}{ending}" for name in names for fold in gate.folds]):
            click.echo(f"removed {path}, which params.yaml no longer names")
    report.write(cells, predictions, curves, gate, out, names=names, level=params.report.level)


if __name__ == "__main__":
    main()
