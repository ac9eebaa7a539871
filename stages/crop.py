from pathlib import Path

import click

from cfnsr.cli.options import IN_FILE, OUT_FILE
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import face_boxes, landmarks
from cfnsr.runtime import stored
from cfnsr.runtime.bad_clips import BadClips


@stage
@click.argument("landmarks_file", metavar="LANDMARKS", type=IN_FILE)
@click.argument("out", type=OUT_FILE)
def main(params: Params, landmarks_file: Path, out: Path) -> None:
    """Compute a face box for each frame from one speaker's LANDMARKS; write them into OUT (Parquet).

    Example: python -m stages.crop data/studio/landmarks/01.parquet data/studio/faces/01.parquet
    """
    bad = BadClips(params.on_bad_clip, stored.fetching(landmarks_file))
    by_clip, skipped = landmarks.read(landmarks_file)
    for clip, reason in skipped.items():
        bad.handle(clip, CfnsrError(f"{landmarks_file}, clip {clip}", reason, "Fetch the clip and its landmarks again"))
    boxes = {}
    for clip, points in by_clip.items():
        with bad.guard(clip):
            boxes[clip] = face_boxes.compute(points, **params.crop.model_dump(), where=f"{landmarks_file}, clip {clip}")
    face_boxes.write(out, boxes, bad.skipped)
    bad.report()


if __name__ == "__main__":
    main()
