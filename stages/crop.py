import click

from cfnsr import corpora
from cfnsr.cli.options import IN_FOLDER, OUT_FILE
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.preprocessing import face_boxes, landmarks
from cfnsr.runtime import progress
from cfnsr.runtime.bad_clips import BadClips


@stage
@click.argument("corpus")
@click.argument("raw", type=IN_FOLDER)
@click.argument("published", type=IN_FOLDER)
@click.argument("out", type=OUT_FILE)
def main(params: Params, corpus, raw, published, out) -> None:
    """Find one speaker's face: landmarks of the clips of RAW -> a steady square box a frame, in OUT (Parquet).

    The landmarks lie in PUBLISHED or beside the clips, or are found in the pictures, as params.yaml says.

    Example: python -m stages.crop studio data/studio/raw/01 data/studio/landmarks data/studio/faces/01.parquet
    """
    options = params.crop.model_dump(exclude={"landmarks", "face_align"})
    bad = BadClips(params.on_bad_clip)
    clips = corpora.get(corpus).clips(raw, bad)
    sampling = {"frames": params.extract.video.frames, "decoder": params.extract.video.decoder}
    track = landmarks.tracker(
        params.crop.landmarks, published / f"{raw.name}.parquet", **sampling, **params.crop.face_align.model_dump()
    )
    found = {}
    with progress.bar(raw.name) as advance:
        for clip in progress.each(clips, len(clips), advance):
            with bad.guard(clip.id):
                found[clip.id] = face_boxes.boxes(track(clip), **options, source=clip.path)
    face_boxes.write(out, found, bad.skipped)
    bad.tell()


if __name__ == "__main__":
    main()
