from dataclasses import replace
from pathlib import Path

from cfnsr.cli.job_arguments import job_arguments
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import JobPaths, JobRecord, worst_seen
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.evaluation import late_fusion
from cfnsr.evaluation.outputs import write_predictions
from cfnsr.models.fusion import averaging, multiplication

_RULES = {"averaging": averaging.combine, "multiplication": multiplication.combine}


@stage
@job_arguments
def main(params: Params, name: str, trial: Trial, corpus_folder: Path, manifest: Manifest, paths: JobPaths) -> None:
    """Combine the predictions of two rows in one FOLD, as the entry NAME of `run.fuse` says.

    Example: python -m stages.fuse both held_out fold_1 1234 data/studio
    """
    fusion = params.fusion(name)
    datasets = FoldDatasets.open(trial, corpus_folder / "shards", manifest)
    parts = [JobPaths.of(corpus_folder, row, trial) for row in (fusion.first, fusion.second)]
    predictions = [part.predictions for part in parts]
    rule = _RULES[fusion.rule]
    write_predictions(paths, name, datasets, late_fusion.fuse(rule, datasets, manifest.labels, *predictions))
    first, second = (JobRecord.read(part.record) for part in parts)
    for part, record in zip(parts, (first, second), strict=True):
        datasets.speakers.require(record.speakers, part.record)
    replace(
        first,
        name=name,
        parameters=first.parameters + second.parameters,
        reads=sorted({*first.reads, *second.reads}),
        reconstructed="",
        published_accuracy=None,
        epochs=0,
        selected_epoch=0,
        best_test_epoch=0,
        seen=worst_seen([first.seen, second.seen]),
        frozen_parameters=first.frozen_parameters + second.frozen_parameters,
    ).write(paths.record)


if __name__ == "__main__":
    main()
