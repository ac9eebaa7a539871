from pathlib import Path

from cfnsr.cli.job_arguments import job_arguments
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import VALIDATION, JobPaths, JobRecord
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.evaluation.outputs import write_predictions
from cfnsr.features import probe
from cfnsr.features.probe import FrozenFeatures


@stage
@job_arguments
def main(params: Params, name: str, trial: Trial, corpus_folder: Path, manifest: Manifest, paths: JobPaths) -> None:
    """Learn a linear classifier on the features of the frozen encoder NAME in one FOLD.

    The validation speakers choose the encoder's layer and the strength of the regularisation.

    Example: python -m stages.probe mel_statistics held_out fold_1 1234 data/studio
    """
    datasets = FoldDatasets.open(trial, corpus_folder / "shards", manifest)
    folder, classes = corpus_folder / "features" / name, len(manifest.labels)
    train, test = (FrozenFeatures.open(folder, clips) for clips in (datasets.train, datasets.test))
    selection = test if datasets.validation is None else FrozenFeatures.open(folder, datasets.validation)
    seen = probe.has_seen(train.facts, manifest.corpus)
    if seen == "yes" and not params.probe.allow_seen:
        problem = f"its weights have seen {manifest.corpus}: its figures would be worth nothing"
        raise CfnsrError(
            f"run.probe: {name}", problem, "Remove it, or set probe.allow_seen: true to see it all the same"
        )
    chosen = probe.choose(train, selection, params.probe.c, classes)
    choices = {VALIDATION: chosen.predict(selection)} if datasets.validation else {}
    if params.probe.refit and datasets.validation:
        chosen = probe.fit(train.joined(selection), chosen.layer, chosen.c, classes)
    probe.save(paths.checkpoint, chosen, train.facts, manifest.labels, trial, manifest.fingerprint)
    write_predictions(paths, name, datasets, {"selected": chosen.predict(test), **choices})
    JobRecord(
        name=name,
        protocol=trial.protocol,
        fold=trial.fold,
        seed=trial.seed,
        data=manifest.fingerprint,
        parameters=train.facts.parameters + chosen.weights.size + chosen.bias.size,
        reads=[train.facts.modality],
        reconstructed="",
        published_accuracy=None,
        imported=[],
        seen=seen,
        frozen_parameters=train.facts.parameters,
    ).write(paths.record)


if __name__ == "__main__":
    main()
