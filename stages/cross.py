from pathlib import Path

import click
import pandas as pd

from cfnsr.cli.options import IN_FOLDER
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.data.dataset import Clips
from cfnsr.data.manifest import Manifest
from cfnsr.features import cross, fold, imported
from cfnsr.features.cross_record import FOLDER, CrossRecord
from cfnsr.features.fold import FrozenFeatures
from cfnsr.runtime.outputs import atomic_folder, prune


@stage
@click.argument("name")
@click.argument("corpus_folder", type=IN_FOLDER)
def main(params: Params, name: str, corpus_folder: Path) -> None:
    """Train on the features NAME of other corpora, and test on all clips of CORPUS_FOLDER whose emotion these have.

    Example: python -m stages.cross whisper_tiny data/ravdess_speech
    """
    manifest = Manifest.read(corpus_folder / "manifest.json")
    folder, corpora = corpus_folder / "imported_features" / name, params.run.cross.corpora
    prune(folder, corpora)
    sources = [imported.read(folder / source) for source in corpora]
    # Speakers that test in a fold: the held-out figures beside these are then of the same clips.
    clips = Clips(corpus_folder / "shards", manifest.tested, manifest.labels, manifest.modalities)
    target = FrozenFeatures.open(corpus_folder / "features" / name, clips)
    seen = fold.require_unseen(target.facts, manifest.corpus, f"run.cross.rows: {name}", allow=params.probe.allow_seen)
    cross.check_sources(sources, target, {*clips.index["source_md5"]})
    labels = imported.common_names(manifest.labels, params.cross.labels)
    results = [
        cross.train_and_test(
            chosen, target, clips.index, labels, standardise=way, c=params.probe.c, refit=params.probe.refit
        )
        for chosen in cross.training_sets(sources)
        for way in params.cross.standardise
    ]
    with atomic_folder(corpus_folder / "jobs" / FOLDER / name) as partial:
        tables = pd.concat([table for _, table in results], ignore_index=True)
        tables.to_parquet(partial / "predictions.parquet", index=False, write_page_checksum=True)
        CrossRecord(
            name=name,
            data=manifest.fingerprint,
            sources={source.corpus: source.data for source in sources},
            seen=seen,
            labels=labels,
            trainings=[training for training, _ in results],
            speakers=manifest.tested,
        ).write(partial / "record.json")


if __name__ == "__main__":
    main()
