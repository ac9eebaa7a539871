from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cfnsr.cli.options import IN_FOLDER
from cfnsr.cli.stage import echo, stage
from cfnsr.config import Params
from cfnsr.data.jobs import JobPaths, JobRecord
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.report import best_model, model_card
from cfnsr.report.expected import ExpectedOutputs
from cfnsr.runtime import model_header
from cfnsr.runtime.outputs import prune

_NEEDS_OTHER_FILES = ("action_units",)  # extractors that read more than the recording: nothing new can be predicted


@stage
@click.argument("corpus", type=IN_FOLDER)
def main(params: Params, corpus: Path) -> None:
    """Copy the model that the validation speakers choose into CORPUS/best, with its card.

    \b
    Example: python -m stages.best data/studio
    """
    run, manifest = params.run, Manifest.read(corpus / "manifest.json")
    expected = ExpectedOutputs.of(run.rows, manifest.folds, run.seeds, run.fused, run.cross.rows)
    for path in [*prune(corpus / "jobs", expected.jobs), *prune(corpus / "models", expected.models)]:
        echo(f"deleted {path}, which params.yaml no longer lists")
    candidates = _candidates(params, corpus, expected)
    best = best_model.choose(corpus, manifest, candidates)
    if best is None:
        best_model.write(corpus / "best", None, corpus, None)
        echo("no row was trained here and validated, so none is the best")
        return
    model = JobPaths.of(corpus, best.name, best.trial).checkpoint
    manifest.speakers(best.trial).require(model_header.read(model).get("speakers", {}), model)
    linear = best.name in run.probe
    encoder = _encoder(corpus, best.name, best.trial) if linear else {}
    card = model_card.card(
        corpus,
        manifest,
        best,
        candidates[best.name],
        refit=params.probe.refit and linear,
        encoder_licence=encoder.get("licence", ""),
        cross_rows=expected.cross,
        ci_level=params.report.ci_level,
    )
    best_model.write(corpus / "best", best, corpus, card)
    echo(
        f"{best.name}, {best.trial.fold}, seed {best.trial.seed}: {best.validation_accuracy_of_fold:.1%} of the clips "
        "of its validation speakers are predicted correctly"
    )


def _candidates(params: Params, corpus: Path, expected: ExpectedOutputs) -> Mapping[str, list[Trial]]:
    """Return the rows of which one model can predict a new recording, with their trials.

    Imported weights may be trained on the validation speakers, and ablations are there for comparison. A network on a
    frozen encoder's sequences does not hold the encoder, and a fused row has no model.
    """
    run = params.run
    names, linear = {*run.pretrain, *run.combine, *run.train, *run.probe}, {*run.probe}
    trials = {name: of for (protocol, name), of in expected.rows.items() if protocol == "held_out" and name in names}
    return {
        name: of_name
        for name, of_name in trials.items()
        if JobRecord.read(JobPaths.of(corpus, name, of_name[0]).record).seen != "yes"  # their figures are worth nothing
        and (name not in linear or _encoder(corpus, name, of_name[0]).get("name") not in _NEEDS_OTHER_FILES)
    }


def _encoder(corpus: Path, name: str, trial: Trial) -> dict[str, Any]:
    """Return what a linear classifier's file says of its frozen encoder."""
    return model_header.read(JobPaths.of(corpus, name, trial).checkpoint).get("extractor", {})


if __name__ == "__main__":
    main()
