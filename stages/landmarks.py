from pathlib import Path

import click

from cfnsr import corpora
from cfnsr.cli.options import IN_FOLDER, OUT_FILE
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.preprocessing import landmarks
from cfnsr.runtime import progress
from cfnsr.runtime.bad_clips import BadClips


@stage
@click.argument("corpus")
@click.argument("raw", type=IN_FOLDER)
@click.argument("published", type=IN_FOLDER)
@click.argument("out", type=OUT_FILE)
def main(params: Params, corpus: str, raw: Path, published: Path, out: Path) -> None:
    """Read or detect 68 landmarks in each frame of one speaker's clips in RAW, into OUT (Parquet).

    They lie in PUBLISHED or beside the clips, or are detected in the frames, as `landmarks.source` says.

    \b
    Example: python -m stages.landmarks studio data/studio/raw/01 data/studio/published_landmarks
             data/studio/landmarks/01.parquet
    """
    bad = BadClips(params.on_bad_clip)
    clips = corpora.get(corpus).clips(raw, bad)
    find = landmarks.finder(
        params.landmarks.source,
        published / f"{raw.name}.parquet",
        frames=params.extract.video.frames,
        decoder=params.extract.video.decoder,
        **params.landmarks.face_align.model_dump(),
    )
    found = {}
    with progress.bar(raw.name) as advance:
        for clip in progress.each(clips, len(clips), advance):
            with bad.guard(clip.id):
                found[clip.id] = find(clip)
    landmarks.write(out, found, bad.skipped)
    bad.report()


if __name__ == "__main__":
    main()
