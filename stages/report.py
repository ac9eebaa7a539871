import click

from cfnsr import fan_in, report
from cfnsr.config import Params
from cfnsr.entry import IN_FILE, IN_FOLDER, OUT_FOLDER, resume, stage
from cfnsr.folds import Trial
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
    gate = Gate.read(corpus)
    wanted = report.Wanted(
        {
            (protocol, name): [Trial(protocol, fold, seed) for fold in gate.folds for seed in params.run.seeds]
            for protocol, name in params.run.rows
        }
    )
    for folder, ending in ((cells, ".json"), (predictions, ".parquet"), (curves, "")):
        for path in fan_in.keep(folder, wanted.files(ending)):
            click.echo(f"removed {path}, which params.yaml no longer names")
    if resume(cells).is_dir():  # every cell is complete: nothing is left to go on from
        fan_in.keep(resume(cells), [])
    report.write(report.Made(cells, predictions, curves), gate, out, wanted=wanted, level=params.report.level)


if __name__ == "__main__":
    main()
