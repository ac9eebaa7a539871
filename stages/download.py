import click

from cfnsr import corpora
from cfnsr.cli.options import OUT_FOLDER
from cfnsr.cli.stage import source, stage
from cfnsr.config import Params
from cfnsr.runtime.outputs import atomic_folder


@stage
@click.argument("corpus")
@click.argument("actor")
@click.argument("out", type=OUT_FOLDER)
@click.option("--partial", type=OUT_FOLDER, required=True, help="Where archives lie until they are whole.")
def main(params: Params, corpus, actor, out, partial) -> None:
    """Make or fetch the clips of one speaker: videos, and the landmarks that come with them, into OUT.

    Example: python -m stages.download studio 01 data/studio/raw/01 --partial data/.partial
    """
    options = getattr(params.corpora, corpus).model_dump()
    with atomic_folder(out) as folder:
        origin = source(params, partial / corpus)
        corpora.get(corpus).prepare(actor, folder, **options, source=origin, jobs=params.parallel.jobs)


if __name__ == "__main__":
    main()
