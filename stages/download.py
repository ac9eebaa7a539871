from importlib import import_module
from pathlib import Path

import click

from cfnsr.cli.options import OUT_FOLDER
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.runtime import registry
from cfnsr.runtime.outputs import atomic_folder


@stage
@click.argument("corpus")
@click.argument("actor")
@click.argument("out", type=OUT_FOLDER)
def main(params: Params, corpus: str, actor: str, out: Path) -> None:
    """Make or fetch one speaker's videos, and the landmarks that come with them; write them into OUT.

    Example: python -m stages.download studio 01 data/studio/raw/01
    """
    from cfnsr.corpora.source import PARTIAL, Source  # here: --help needs no network

    registry.load("cfnsr.corpora", corpus, where="corpus", kind="corpus", folders_only=True)
    options = getattr(params.corpora, corpus).model_dump()
    source = Source(**params.fetch.model_dump(), partial=PARTIAL / corpus)
    with atomic_folder(out) as folder:
        module = import_module(f"cfnsr.corpora.{corpus}.prepare")
        module.prepare(actor, folder, **options, source=source, jobs=params.parallel.jobs)


if __name__ == "__main__":
    main()
