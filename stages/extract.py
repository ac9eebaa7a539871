import click

from cfnsr import corpora
from cfnsr.cli.options import IN_FILE, IN_FOLDER, OUT_FOLDER
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.data import shards
from cfnsr.preprocessing import extract, face_boxes
from cfnsr.runtime import engines, progress
from cfnsr.runtime.bad_clips import BadClips


@stage
@click.argument("corpus")
@click.argument("raw", type=IN_FOLDER)
@click.argument("boxes", type=IN_FILE)
@click.argument("out", type=OUT_FOLDER)
def main(params: Params, corpus, raw, boxes, out) -> None:
    """Decode one speaker: face crops, log-mel and MFCC of each clip of RAW -> a shard in OUT.

    Example: python -m stages.extract studio data/studio/raw/01 data/studio/faces/01.parquet data/studio/shards/01
    """
    bad = BadClips(params.on_bad_clip)
    clips = corpora.get(corpus).clips(raw, bad)
    squares, faceless = face_boxes.read(boxes)
    options = {**params.extract.video.model_dump(), **params.extract.audio.model_dump()}
    engine = engines.get(params.parallel.engine, jobs=params.parallel.jobs, address=params.parallel.address)
    samples = extract.samples(clips, squares, faceless, bad, engine=engine, **options)
    with progress.bar(raw.name) as advance:
        counted = progress.each(samples, len(clips), advance)
        shards.write(out, extract.rows(clips, squares), counted, bad.skipped)
    bad.tell()


if __name__ == "__main__":
    main()
