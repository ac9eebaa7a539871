from pathlib import Path

import click

from cfnsr.cli.options import IN_FOLDER
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.data.manifest import Manifest
from cfnsr.report import best_model
from cfnsr.report.expected import ExpectedOutputs
from cfnsr.runtime.outputs import prune


@stage
@click.argument("corpus", type=IN_FOLDER)
def main(params: Params, corpus: Path) -> None:
    """Copy the model that the validation speakers choose into CORPUS/best.

    \b
    Example: python -m stages.best data/studio
    """
    run, folds = params.run, Manifest.read(corpus / "manifest.json").folds
    expected = ExpectedOutputs.of(run.rows, folds, run.seeds, run.fused, run.cross.rows)
    for path in [*prune(corpus / "jobs", expected.jobs), *prune(corpus / "models", expected.models)]:
        click.echo(f"deleted {path}, which params.yaml no longer lists")
    # Imported weights may be trained on the validation speakers, ablations are there for comparison, and a classifier
    # on frozen features is no network alone.
    trained = {*params.run.pretrain, *params.run.combine, *params.run.train}
    candidates = {
        name: trials for (protocol, name), trials in expected.rows.items() if protocol == "held_out" and name in trained
    }
    best = best_model.choose(corpus, candidates)
    best_model.write(corpus / "best", best, corpus)
    if best is None:
        click.echo("no row was trained here and validated, so none is the best")
        return
    click.echo(
        f"{best.name}, {best.trial.fold}, seed {best.trial.seed}: {best.validation_accuracy_of_fold:.1%} of the clips "
        "of its validation speakers are predicted correctly"
    )


if __name__ == "__main__":
    main()
