from pathlib import Path

from cfnsr.cli.job_arguments import job_arguments
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import VALIDATION, JobPaths, JobRecord
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.evaluation.outputs import write_predictions
from cfnsr.evaluation.reference import Reference
from cfnsr.features import fold, probe
from cfnsr.features.fold import FoldFeatures
from cfnsr.runtime import libraries


@stage
@job_arguments
def main(params: Params, name: str, trial: Trial, corpus_folder: Path, manifest: Manifest, paths: JobPaths) -> None:
    """Learn a linear classifier on the features of the frozen encoder NAME in one FOLD.

    The validation speakers choose the encoder's layer and the strength of the regularisation.

    Example: python -m stages.probe mel_statistics held_out fold_1 1234 data/studio
    """
    datasets = FoldDatasets.open(trial, corpus_folder / "shards", manifest)
    features, classes = FoldFeatures.open(corpus_folder / "features" / name, datasets), len(manifest.labels)
    train, selection, test = features.train, features.selection, features.test
    seen = fold.require_unseen(features.facts, manifest.corpus, f"run.probe: {name}", allow=params.probe.allow_seen)
    chosen = probe.choose(train, selection, params.probe.c, classes)
    choices = {VALIDATION: chosen.predict(selection)} if datasets.validation else {}
    if params.probe.refit and datasets.validation:
        train = train.joined(selection)
        chosen = probe.fit(train, chosen.layer, chosen.c, classes)
    probe.save(
        paths.checkpoint,
        chosen,
        train.facts,
        manifest.labels,
        trial,
        manifest.fingerprint,
        speakers=datasets.speakers.lists(),
        options=params.frozen(name).options,
        preprocessing=manifest.preprocessing,
    )
    Reference.of(train.means[:, chosen.layer]).write(paths.checkpoint)
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
        speakers=datasets.speakers.lists(),
        libraries=libraries.versions(),
    ).write(paths.record)


if __name__ == "__main__":
    main()
