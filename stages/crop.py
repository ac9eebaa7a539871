import click

from cfnsr import faces, landmarks, progress
from cfnsr.config import Params
from cfnsr.entry import IN_FOLDER, OUT_FILE, stage


@stage
@click.argument("points", type=IN_FOLDER)
@click.argument("out", type=OUT_FILE)
def main(params: Params, points, out) -> None:
    """Find one speaker's face: landmark files of POINTS -> a steady square box a frame, in OUT (Parquet).

    Example: python -m stages.crop data/studio/landmarks/01 data/studio/faces/01.parquet
    """
    options = params.crop.model_dump(exclude={"landmarks"})
    files = landmarks.files(points)
    clips = {}
    with progress.bar(points.name) as advance:
        for path in progress.each(files, len(files), advance):
            clips[path.stem] = faces.boxes(landmarks.read(params.crop.landmarks, path), **options, source=path)
    faces.write(out, clips)


if __name__ == "__main__":
    main()
