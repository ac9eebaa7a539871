"""One actor's clips, prepared by the functions that the pipeline's stages call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cfnsr import config
from cfnsr.corpora import studio
from cfnsr.corpora.clip import Clip
from cfnsr.data import shards
from cfnsr.data.dataset import Clips
from cfnsr.preprocessing import extract, face_boxes, landmarks
from cfnsr.preprocessing.extract import ExtractOptions
from cfnsr.runtime.bad_clips import BadClips

PARAMS = config.load(Path(__file__).parents[2] / "params.yaml")
BAD = BadClips("fail")


def preprocessing(source: str) -> dict[str, Any]:
    """Return what the manifest would say of clips whose faces come from this source."""
    options = getattr(PARAMS.landmarks, source).model_dump()
    extract_options = PARAMS.extract.model_dump()
    return {"landmarks": {"source": source, **options}, "crop": PARAMS.crop.model_dump(), "extract": extract_options}


def clips(raw: Path, folder: Path, source: str, count: int) -> tuple[list[Clip], Clips]:
    """Prepare some clips of an actor; return them, and their arrays.

    Args:
        raw: of the actor.
        folder: where the files go.
        source: of the landmarks.
        count: of clips.
    """
    chosen = studio.clips(raw, BAD)[:count]
    window = PARAMS.extract.model_dump()
    video = window.pop("video")
    window.pop("audio")
    options = {**window, "frames": video["frames"], "decoder": video["decoder"]}
    find = landmarks.finder(source, folder / "none", **options, **getattr(PARAMS.landmarks, source).model_dump())
    folder.mkdir(parents=True)
    landmarks.write(folder / "landmarks.parquet", {clip.id: find(clip) for clip in chosen}, {})
    known, _ = landmarks.read(folder / "landmarks.parquet")
    crop = PARAMS.crop.model_dump()
    face_boxes.write(
        folder / "boxes.parquet",
        {clip: face_boxes.compute(of_clip, **crop, where=clip) for clip, of_clip in known.items()},
        {},
    )
    boxes, _ = face_boxes.read(folder / "boxes.parquet")
    samples = extract.samples(
        chosen, boxes, {}, BAD, options=ExtractOptions(**PARAMS.extract.model_dump()), **PARAMS.parallel.model_dump()
    )
    shards.write(folder / "shards" / chosen[0].actor, extract.index_rows(chosen, boxes), samples, {})
    return chosen, Clips(folder / "shards", [chosen[0].actor], studio.labels())
