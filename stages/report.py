import click

from cfnsr import fan_in, page, report, results
from cfnsr.config import Params
from cfnsr.entry import IN_FILE, IN_FOLDER, OUT_FOLDER, PRESETS, resume, stage
from cfnsr.gate import Gate
from cfnsr.page.provenance import origin
from cfnsr.page.shown import Shown
from cfnsr.wanted import Wanted


@stage
@click.argument("cells", type=IN_FOLDER)
@click.argument("predictions", type=IN_FOLDER)
@click.argument("curves", type=IN_FOLDER)
@click.argument("shards", type=IN_FOLDER)
@click.argument("corpus", type=IN_FILE)
@click.argument("out", type=OUT_FOLDER)
@click.option("--presets", type=IN_FOLDER, default=PRESETS, show_default=True, help="To tell what differs from them.")
def main(params: Params, cells, predictions, curves, shards, corpus, out, presets) -> None:
    """Gather the cells into metrics, plots, one table and one page in OUT; CORPUS is the gate's file.

    \b
    Example: python -m stages.report data/studio/cells data/studio/predictions data/studio/curves
             data/studio/shards data/studio/corpus.json metrics/studio
    """
    gate = Gate.read(corpus)
    wanted = Wanted.of(params.run.rows, gate.folds, params.run.seeds)
    for folder, ending in ((cells, ".json"), (predictions, ".parquet"), (curves, "")):
        for path in fan_in.keep(folder, wanted.files(ending)):
            click.echo(f"removed {path}, which params.yaml no longer names")
    if resume(cells).is_dir():  # every cell is complete: nothing is left to go on from
        fan_in.keep(resume(cells), [])
    found = results.gather(results.Made(cells, predictions, curves), gate, wanted=wanted, level=params.report.level)
    report.write(out, found, gate)
    shown = Shown(shards, params.actors, params.report.faces)
    page.write(out / "report.html", found, gate, shown, origin(params.of_result(), presets))


if __name__ == "__main__":
    main()
