from pathlib import Path

import click

from cfnsr import corpora
from cfnsr.cli.options import IN_FILE, IN_FOLDER, OUT_FOLDER
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.errors import CfnsrError
from cfnsr.features import extractors
from cfnsr.features.files import write
from cfnsr.preprocessing import face_boxes
from cfnsr.runtime import progress, stored
from cfnsr.runtime.bad_clips import BadClips


@stage
@click.argument("corpus")
@click.argument("name")
@click.argument("raw", type=IN_FOLDER)
@click.argument("boxes_file", metavar="BOXES", type=IN_FILE)
@click.argument("out", type=OUT_FOLDER)
def main(params: Params, corpus: str, name: str, raw: Path, boxes_file: Path, out: Path) -> None:
    """Compute the features of one speaker's clips in RAW by the frozen encoder NAME; write them into OUT.

    NAME is a section of `features`. Encoders of faces look at BOXES.

    \b
    Example: python -m stages.features studio mel_statistics data/studio/raw/01 data/studio/faces/01.parquet
             data/studio/features/mel_statistics/01
    """
    section = params.frozen(name)
    extractor = extractors.load(section.extractor, section.options, f"features.{name}")
    where = f"features.{name}.sequence"
    bad = BadClips(params.on_bad_clip, stored.fetching(raw))
    clips = corpora.get(corpus).clips(raw, bad)
    boxes, _ = face_boxes.read(boxes_file)
    by_clip = {}
    with progress.items() as bar:
        results = extractor.features(clips, boxes)
        for clip, result in bar.track(results, total=len(clips), description=raw.name):
            if isinstance(result, CfnsrError):
                bad.handle(clip.id, result)
            else:
                by_clip[clip.id] = result.with_sequence(**section.sequence.model_dump(), where=where)
    write(out, extractor.facts, clips, by_clip, bad.skipped)
    bad.report()


if __name__ == "__main__":
    main()
