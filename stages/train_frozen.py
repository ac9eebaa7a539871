from functools import partial
from pathlib import Path

import click

from cfnsr.cli.job_arguments import job_arguments
from cfnsr.cli.stage import stage
from cfnsr.cli.timing import log_fact
from cfnsr.config import Params
from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import JobPaths, worst_seen
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.evaluation import initial
from cfnsr.features import fold
from cfnsr.features.fold import FoldFeatures
from cfnsr.models import fusion
from cfnsr.training.run import run


@stage
@job_arguments
@click.option("--system", required=True, help="The system: a section of `systems`.")
@click.option("--video", required=True, help="The frozen encoder of faces: a section of `features`.")
@click.option("--audio", required=True, help="The frozen encoder of sound: a section of `features`.")
def main(
    params: Params,
    name: str,
    trial: Trial,
    corpus_folder: Path,
    manifest: Manifest,
    paths: JobPaths,
    system: str,
    video: str,
    audio: str,
) -> None:
    """Train the row NAME, a system on the sequences of two frozen encoders, on one FOLD from one SEED.

    It starts from the two networks that `stages.sequence` trained.

    \b
    Example: python -m stages.train_frozen cfnsr_frozen held_out fold_1 1234 data/studio
             --system cfnsr --video blendshapes --audio whisper_tiny
    """
    section, names = params.system(system), {"video": video, "audio": audio}
    fusion.check(system, section.options, training=True)
    if {*fusion.reads(system)} != {*names}:
        problem = f"{system} does not read the sequences of both encoders"
        raise CfnsrError(f"run.train_frozen: {name}", problem, "Choose another system")
    datasets = FoldDatasets.open(trial, corpus_folder / "shards", manifest)
    features, seen = {}, []
    for modality, extractor in names.items():
        where = f"run.train_frozen: {name}: {modality}"
        of_fold = FoldFeatures.open(corpus_folder / "features" / extractor, datasets, sequences=True)
        if of_fold.facts.modality != modality:
            raise CfnsrError(where, f"{extractor} is an encoder of {of_fold.facts.modality}", "Choose another encoder")
        seen.append(fold.require_unseen(of_fold.facts, manifest.corpus, where, allow=params.probe.allow_seen))
        features[modality] = of_fold
    frozen_weights = sum(of_fold.facts.parameters for of_fold in features.values())
    build = partial(
        initial.fused,
        system,
        section.options,
        trial,
        corpus_folder,
        manifest,
        freeze_encoders=params.train.freeze_encoders,
        rows={modality: f"{extractor}_sequence" for modality, extractor in names.items()},
    )
    assert section.training is not None
    sections = {modality: params.frozen(extractor).model_dump() for modality, extractor in names.items()}
    device = run(
        fold.describing_encoders(build, features, sections),
        trial,
        corpus_folder,
        manifest,
        paths,
        training=section.training.model_dump(),
        shared=params.train.model_dump(),
        arrange=partial(fold.with_sequences, features=features),
        record={"seen": worst_seen(seen), "frozen_parameters": frozen_weights, "published_accuracy": None},
    )
    log_fact(device=device)


if __name__ == "__main__":
    main()
