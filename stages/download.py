import click

from cfnsr import corpora, progress
from cfnsr.atomic import atomic_folder
from cfnsr.config import Params
from cfnsr.entry import OUT_FOLDER, stage


@stage
@click.argument("corpus")
@click.argument("actor")
@click.argument("clips", type=OUT_FOLDER)
@click.argument("landmarks", type=OUT_FOLDER)
def main(params: Params, corpus, actor, clips, landmarks) -> None:
    """Make or fetch the clips of one speaker: mp4 files into CLIPS, 68 points a frame into LANDMARKS.

    Example: python -m stages.download studio 01 data/studio/raw/01 data/studio/landmarks/01
    """
    prepare = corpora.get(corpus).prepare
    options = getattr(params.corpora, corpus).model_dump()
    with atomic_folder(clips) as videos, atomic_folder(landmarks) as points, progress.bar(actor) as advance:
        prepare(actor, videos, points, **options, jobs=params.parallel.jobs, progress=advance)


if __name__ == "__main__":
    main()
