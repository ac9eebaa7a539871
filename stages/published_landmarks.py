from pathlib import Path

import click

from cfnsr.cli.options import OUT_FOLDER
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.runtime import registry
from cfnsr.runtime.outputs import atomic_folder


@stage
@click.argument("corpus")
@click.argument("out", type=OUT_FOLDER)
def main(params: Params, corpus: str, out: Path) -> None:
    """Fetch the landmarks that are published apart from the clips; write one Parquet file a speaker into OUT.

    OUT stays empty if the corpus has none, if `landmarks.source` in params.yaml detects landmarks in the frames, or if
    `modalities` has sound only.

    Example: python -m stages.published_landmarks ravdess data/ravdess/published_landmarks
    """
    from cfnsr.corpora.source import PARTIAL, Source  # here: --help needs no network
    from cfnsr.preprocessing import published_landmarks

    registry.load("cfnsr.corpora", corpus, where="corpus", kind="corpus", folders_only=True)
    options = getattr(params.corpora, corpus).model_dump()
    source = Source(**params.fetch.model_dump(), partial=PARTIAL / corpus)
    with atomic_folder(out) as folder:
        if params.landmarks.source == "openface" and "video" in params.modalities:
            published_landmarks.fetch(corpus, folder, **options, source=source, jobs=params.parallel.jobs)


if __name__ == "__main__":
    main()
