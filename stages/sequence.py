from functools import partial
from pathlib import Path

import click

from cfnsr.cli.job_arguments import job_arguments
from cfnsr.cli.stage import stage
from cfnsr.cli.timing import log_fact
from cfnsr.config import Params
from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import JobPaths
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.evaluation import initial
from cfnsr.features import fold
from cfnsr.features.fold import FoldFeatures
from cfnsr.training.run import run


@stage
@job_arguments
@click.option("--features", required=True, help="The frozen encoder: a section of `features`.")
def main(
    params: Params,
    name: str,
    trial: Trial,
    corpus_folder: Path,
    manifest: Manifest,
    paths: JobPaths,
    features: str,
) -> None:
    """Train the row NAME, a network on the sequences of one frozen encoder, on one FOLD from one SEED.

    \b
    Example: python -m stages.sequence whisper_tiny_sequence held_out fold_1 1234 data/studio
             --features whisper_tiny
    """
    datasets = FoldDatasets.open(trial, corpus_folder / "shards", manifest)
    of_fold = FoldFeatures.open(corpus_folder / "features" / features, datasets, sequences=True)
    facts, network = of_fold.facts, params.sequence
    seen = fold.require_unseen(facts, manifest.corpus, f"run.sequence: {features}", allow=params.probe.allow_seen)
    build = partial(
        initial.unimodal,
        facts.modality,
        {"name": "sequence", "channels": network.channels, "dropout": network.dropout},
        trial,
        manifest,
        pixels=params.pixels.model_dump(),
        shapes={f"{facts.modality}_sequence": of_fold.train.shape},
    )
    encoders = {facts.modality: of_fold}
    sections = {facts.modality: params.frozen(features).model_dump()}
    device = run(
        fold.describing_encoders(build, encoders, sections),
        trial,
        corpus_folder,
        manifest,
        paths,
        training=network.training.model_dump(),
        shared=params.train.model_dump(),
        arrange=partial(fold.with_sequences, features=encoders),
        record={"seen": seen, "frozen_parameters": facts.parameters},
    )
    log_fact(device=device)


if __name__ == "__main__":
    main()
