import click

from cfnsr.cli.options import IN_FILE, IN_FOLDER, OUT_FOLDER, PRESETS
from cfnsr.cli.stage import resume, stage
from cfnsr.config import Params
from cfnsr.data.manifest import Manifest
from cfnsr.report import files, page, results
from cfnsr.report.expected import ExpectedOutputs
from cfnsr.report.page.provenance import origin
from cfnsr.report.page.shown import Shown
from cfnsr.runtime.outputs import prune


@stage
@click.argument("cells", type=IN_FOLDER)
@click.argument("predictions", type=IN_FOLDER)
@click.argument("curves", type=IN_FOLDER)
@click.argument("shards", type=IN_FOLDER)
@click.argument("corpus", type=IN_FILE)
@click.argument("out", type=OUT_FOLDER)
@click.option("--presets", type=IN_FOLDER, default=PRESETS, show_default=True, help="To tell what differs from them.")
def main(params: Params, cells, predictions, curves, shards, corpus, out, presets) -> None:
    """Gather the cells into metrics, plots, one table and one page in OUT; CORPUS is the manifest.

    \b
    Example: python -m stages.report data/studio/cells data/studio/predictions data/studio/curves
             data/studio/shards data/studio/manifest.json metrics/studio
    """
    manifest = Manifest.read(corpus)
    wanted = ExpectedOutputs.of(params.run.rows, manifest.folds, params.run.seeds)
    for folder, ending in ((cells, ".json"), (predictions, ".parquet"), (curves, "")):
        for path in prune(folder, wanted.files(ending)):
            click.echo(f"removed {path}, which params.yaml no longer names")
    if resume(cells).is_dir():  # every cell is complete: nothing is left to go on from
        prune(resume(cells), [])
    found = results.gather(results.Made(cells, predictions, curves), manifest, wanted=wanted, level=params.report.level)
    files.write(out, found, manifest)
    shown = Shown(shards, params.actors, params.report.faces)
    page.write(out / "report.html", found, manifest, shown, origin(params.of_result(), presets))


if __name__ == "__main__":
    main()
