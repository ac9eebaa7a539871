from pathlib import Path

import click

from cfnsr import corpora
from cfnsr.cli.options import IN_FILE, IN_FOLDER, OUT_FOLDER
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.data import shards
from cfnsr.preprocessing import extract, face_boxes
from cfnsr.preprocessing.extract import ExtractOptions
from cfnsr.runtime import progress, stored
from cfnsr.runtime.bad_clips import BadClips


@stage
@click.argument("corpus")
@click.argument("raw", type=IN_FOLDER)
@click.argument("boxes_file", metavar="BOXES", type=IN_FILE)
@click.argument("out", type=OUT_FOLDER)
def main(params: Params, corpus: str, raw: Path, boxes_file: Path, out: Path) -> None:
    """Decode one speaker's clips in RAW; write face crops at BOXES, log-mel and MFCC into the shard OUT.

    A corpus with sound only, or with pictures only (`modalities`), gets the arrays of that modality.

    Example: python -m stages.extract studio data/studio/raw/01 data/studio/faces/01.parquet data/studio/shards/01
    """
    bad = BadClips(params.on_bad_clip, stored.fetching(raw))
    clips = corpora.get(corpus).clips(raw, bad)
    boxes, skipped = face_boxes.read(boxes_file)
    options = ExtractOptions(**params.extract.model_dump(), modalities=params.modalities)
    samples = extract.samples(clips, boxes, skipped, bad, options=options, **params.parallel.model_dump())
    with progress.items() as bar:
        tracked = bar.track(samples, total=len(clips), description=raw.name)
        shards.write(out, extract.index_rows(clips, boxes), tracked, bad.skipped, params.modalities)
    bad.report()


if __name__ == "__main__":
    main()
