from pathlib import Path

import click

from cfnsr import corpora
from cfnsr.cli.options import IN_FOLDER, OUT_FILE
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.preprocessing import container, landmarks
from cfnsr.runtime import progress, stored
from cfnsr.runtime.bad_clips import BadClips


@stage
@click.argument("corpus")
@click.argument("raw", type=IN_FOLDER)
@click.argument("published", type=IN_FOLDER)
@click.argument("out", type=OUT_FILE)
def main(params: Params, corpus: str, raw: Path, published: Path, out: Path) -> None:
    """Write 68 landmarks for each frame of one speaker's clips in RAW into OUT (Parquet).

    `landmarks.source` says whether they are read from PUBLISHED or from files beside the clips, or detected. If
    `modalities` has sound only, OUT has no rows.

    \b
    Example: python -m stages.landmarks studio data/studio/raw/01 data/studio/published_landmarks
             data/studio/landmarks/01.parquet
    """
    if "video" not in params.modalities:
        landmarks.write(out, {}, {})
        return
    bad = BadClips(params.on_bad_clip, stored.fetching(raw))
    clips = corpora.get(corpus).clips(raw, bad)
    find = landmarks.finder(
        params.landmarks.source,
        published / f"{raw.name}.parquet",
        offset_s=params.extract.offset_s,
        window_s=params.extract.window_s,
        frames=params.extract.video.frames,
        decoder=params.extract.video.decoder,
        **getattr(params.landmarks, params.landmarks.source).model_dump(),
    )
    by_clip = {}
    with progress.items() as bar:
        for clip in bar.track(clips, description=raw.name):
            with bad.guard(clip.id), container.one_clip(clip.path):
                by_clip[clip.id] = find(clip)
    landmarks.write(out, by_clip, bad.skipped)
    bad.report()


if __name__ == "__main__":
    main()
