import click

from cfnsr import faces, landmarks, progress
from cfnsr.bad_clips import BadClips
from cfnsr.config import Params
from cfnsr.entry import IN_FOLDER, OUT_FILE, stage
from cfnsr.errors import printable


@stage
@click.argument("points", type=IN_FOLDER)
@click.argument("out", type=OUT_FILE)
def main(params: Params, points, out) -> None:
    """Find one speaker's face: landmark files of POINTS -> a steady square box a frame, in OUT (Parquet).

    Example: python -m stages.crop data/studio/landmarks/01 data/studio/faces/01.parquet
    """
    options = params.crop.model_dump(exclude={"landmarks"})
    files = landmarks.files(points)
    bad = BadClips(params.on_bad_clip)
    clips = {}
    with progress.bar(points.name) as advance:
        for path in progress.each(files, len(files), advance):
            with bad.guard(path.stem):
                track = landmarks.read(params.crop.landmarks, path)
                clips[printable(path.stem)] = faces.boxes(track, **options, source=path)
    faces.write(out, clips, bad.skipped)
    bad.tell()


if __name__ == "__main__":
    main()
