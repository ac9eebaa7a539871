from pathlib import Path

from cfnsr.cli.job_arguments import job_arguments
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import JobPaths
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.evaluation import initial, late_fusion
from cfnsr.evaluation.module_features import uniform_means
from cfnsr.evaluation.outputs import write_outputs
from cfnsr.evaluation.reference import Reference


@stage
@job_arguments
def main(params: Params, name: str, trial: Trial, corpus_folder: Path, manifest: Manifest, paths: JobPaths) -> None:
    """Combine the unimodal predictions of one FOLD by system NAME, which trains nothing.

    Example: python -m stages.combine averaging held_out fold_1 1234 data/studio
    """
    network, spec = initial.fused(name, params.system(name).options, trial, corpus_folder, manifest)
    datasets = FoldDatasets.open(trial, corpus_folder / "shards", manifest)
    video, audio = (JobPaths.of(corpus_folder, modality, trial).predictions for modality in ("video", "audio"))
    choices = late_fusion.combine(network, datasets, spec.labels, video, audio)
    write_outputs(paths, network, spec, datasets, choices, reference=_reference(corpus_folder, trial, spec.labels))


def _reference(corpus_folder: Path, trial: Trial, labels: list[str]) -> Reference | None:
    """Describe the training clips by the features of both networks; None if either was written without."""
    models = {modality: JobPaths.of(corpus_folder, modality, trial).checkpoint for modality in ("video", "audio")}
    known = {modality: Reference.beside(model) for modality, model in models.items()}
    parts = {modality: part for modality, part in known.items() if part is not None}
    return Reference.joined(parts, uniform_means(len(labels))) if len(parts) == len(known) else None


if __name__ == "__main__":
    main()
