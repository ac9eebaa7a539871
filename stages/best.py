import click

from cfnsr.cli.options import IN_FILE, IN_FOLDER, OUT_FOLDER
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.data.manifest import Manifest
from cfnsr.report import best_model
from cfnsr.report.expected import ExpectedOutputs
from cfnsr.runtime.outputs import prune


@stage
@click.argument("predictions", type=IN_FOLDER)
@click.argument("models", type=IN_FOLDER)
@click.argument("corpus", type=IN_FILE)
@click.argument("out", type=OUT_FOLDER)
def main(params: Params, predictions, models, corpus, out) -> None:
    """Copy into OUT the model that the validation speakers choose; CORPUS is the manifest.

    \b
    Example: python -m stages.best data/studio/predictions data/studio/models data/studio/manifest.json
             data/studio/best
    """
    wanted = ExpectedOutputs.of(params.run.rows, Manifest.read(corpus).folds, params.run.seeds)
    for folder, ending in ((predictions, ".parquet"), (models, "")):
        for path in prune(folder, wanted.files(ending)):
            click.echo(f"removed {path}, which params.yaml no longer names")
    # Imported weights may have learned from the validation speakers, and a variant is there to be compared with.
    trained = {*params.run.pretrain, *params.run.train}
    candidates = {name: trials for (of, name), trials in wanted.rows.items() if of == "held_out" and name in trained}
    chosen = best_model.choose(predictions / "held_out", candidates)
    best_model.write(out, chosen, models / "held_out")
    if chosen is None:
        click.echo("no row was trained here and validated: there is none to choose")
        return
    click.echo(
        f"{chosen.name}, {chosen.trial.fold}, seed {chosen.trial.seed}: "
        f"{chosen.validation_accuracy_of_fold:.1%} of its validation speakers' clips"
    )


if __name__ == "__main__":
    main()
