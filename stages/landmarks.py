import click

from cfnsr.cli.options import OUT_FOLDER
from cfnsr.cli.stage import source, stage
from cfnsr.config import Params
from cfnsr.preprocessing import published_landmarks
from cfnsr.runtime.outputs import atomic_folder


@stage
@click.argument("corpus")
@click.argument("out", type=OUT_FOLDER)
@click.option("--partial", type=OUT_FOLDER, required=True, help="Where archives lie until they are whole.")
def main(params: Params, corpus, out, partial) -> None:
    """Fetch the landmarks that are published apart from the clips, one Parquet file a speaker, into OUT.

    OUT stays empty where a corpus has none, or where params.yaml takes its landmarks from elsewhere.

    Example: python -m stages.landmarks ravdess data/ravdess/landmarks --partial data/.partial
    """
    options = getattr(params.corpora, corpus).model_dump()
    with atomic_folder(out) as folder:
        if params.crop.landmarks == "openface":
            origin = source(params, partial / corpus)
            published_landmarks.landmarks(corpus, folder, **options, source=origin, jobs=params.parallel.jobs)


if __name__ == "__main__":
    main()
