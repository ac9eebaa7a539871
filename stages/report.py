import click

from cfnsr import report
from cfnsr.config import Params
from cfnsr.entry import FILE, FOLDER, stage
from cfnsr.gate import Gate


@stage
@click.argument("cells", type=FOLDER)
@click.argument("predictions", type=FOLDER)
@click.argument("curves", type=FOLDER)
@click.argument("corpus", type=FILE)
@click.argument("out", type=FOLDER)
def main(params: Params, cells, predictions, curves, corpus, out) -> None:
    """Gather the cells into metrics, plots and one table in OUT; CORPUS is the gate's file.

    \b
    Example: python -m stages.report data/studio/cells data/studio/predictions data/studio/curves
             data/studio/corpus.json metrics/studio
    """
    names = ["video", "audio", *params.systems]
    report.write(cells, predictions, curves, Gate.read(corpus), out, names=names, level=params.report.level)


if __name__ == "__main__":
    main()
