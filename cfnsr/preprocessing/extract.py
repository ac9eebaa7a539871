"""Turn one clip into arrays: face crops, log-mel and MFCC."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float64, UInt8

from cfnsr.corpora.clip import Clip
from cfnsr.data import shards
from cfnsr.data.shards import Sample
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import audio, container, media, video
from cfnsr.preprocessing.display import Frame
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.preprocessing.media import Timeline
from cfnsr.runtime import parallel
from cfnsr.runtime.bad_clips import BadClips


@dataclass(frozen=True)
class ExtractOptions:
    """The section ``extract`` of params.yaml.

    Attributes:
        offset_s, window_s: start and length in seconds of the window from which frames and sound are taken.
        video: see ``face_crops``.
        audio: see ``audio.sound``.
        modalities: of the corpus: the arrays of the other one are not made.
    """

    offset_s: float
    window_s: float
    video: Mapping[str, Any]
    audio: Mapping[str, Any]
    modalities: Collection[str] = shards.BOTH


def sample(clip: Clip, boxes: Float64[np.ndarray, "frame 3"] | None, options: ExtractOptions) -> Sample:
    """Decode one clip into the arrays that networks read.

    Args:
        clip: the clip.
        boxes: the face box of every frame, rows of (centre x, centre y, side) in pixels; None for sound alone.
        options: of video and audio.

    Raises:
        CfnsrError: the file cannot be decoded, the boxes belong to another video, or the clip is black or silent.
    """
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {"padded_s": 0.0, "tracks": 0}
    if boxes is None:
        timeline = media.sound_timeline(clip.audio or clip.path)
    else:
        timeline = media.timeline(clip.path)
        frames, scaled = face_crops(
            clip, timeline, boxes, offset_s=options.offset_s, window_s=options.window_s, **options.video
        )
        arrays["frames"] = frames
        still = len(frames) > 1 and bool((frames == frames[0]).all())
        facts |= {"lost_frames": timeline.lost_frames, "scaled_frames": scaled, "still": still}
    if "audio" in options.modalities:
        heard = media.sound_timeline(clip.audio) if clip.audio and boxes is not None else timeline
        features, facts["padded_s"] = audio.sound(
            clip.audio or clip.path,
            heard,
            offset_s=clip.start_s + options.offset_s,
            window_s=options.window_s,
            end_s=clip.end_s,
            **options.audio,
        )
        arrays |= features
        facts |= {"tracks": len(heard.tracks), "sound_offset_s": heard.sound_offset_s(clip.start_s)}
    duration_s = min(clip.end_s, timeline.duration_s) - clip.start_s
    return Sample(arrays, duration_s=duration_s, transfer=timeline.transfer, **facts)


def clip_shapes(options: ExtractOptions) -> dict[str, list[int]]:
    """Compute the shape of one clip's arrays from the options, by array name."""
    analysis = {key: value for key, value in options.audio.items() if key not in ("track", "min_sound", "silence_db")}
    silence = np.zeros(round(options.window_s * options.audio["rate_hz"]), np.float32)
    features = audio.features(silence, **analysis)
    side_px = options.video["side_px"]
    return {
        "frames": [options.video["frames"], side_px, side_px, 3],
        **{name: list(array.shape) for name, array in features.items()},
    }


def face_crops(
    clip: Clip,
    timeline: Timeline,
    boxes: Float64[np.ndarray, "frame 3"],
    *,
    offset_s: float,
    window_s: float,
    frames: int,
    side_px: int,
    decoder: str,
    deblock: bool = True,
) -> tuple[UInt8[np.ndarray, "time side side 3"], int]:
    """Crop the face from evenly spaced frames of a window.

    Args:
        clip: the clip.
        timeline: of its file.
        boxes: the face box of every frame of the clip, rows of (centre x, centre y, side) in pixels.
        offset_s, window_s: see ``video.evenly_spaced``.
        frames: number of crops.
        side_px: their side in pixels.
        decoder, deblock: see ``video.frames``.

    Returns:
        The crops, RGB, and the number of frames whose picture had another size than the first one's.

    Raises:
        CfnsrError: see ``sample``.
    """
    part = video.of_clip(clip, timeline)
    times_s = timeline.times_s[part] - clip.start_s
    if len(times_s) != len(boxes):
        problem = f"has {len(times_s)} frames, its landmarks {len(boxes)}"
        raise CfnsrError(clip.path, problem, "Fetch the clip and its landmarks again")
    indices = video.evenly_spaced(times_s, frames, offset_s=offset_s, window_s=window_s)
    crops, scaled = [], 0
    numbers = [part.start + index for index in indices]
    decoded = video.frames(clip.path, timeline, numbers, decoder=decoder, deblock=deblock)
    for index, frame in zip(indices, decoded, strict=True):
        _check_box(clip.path, boxes[index], frame)
        crops.append(frame.crop(boxes[index], side_px))
        scaled += frame.scaled
    pictures = np.stack(crops)
    if pictures.min() == pictures.max():
        raise CfnsrError(clip.path, "its picture is constant (black)", "Fetch the clip again, or remove it")
    return pictures, scaled


def _check_box(path: Path, box: np.ndarray, frame: Frame) -> None:
    """Check that a box overlaps its frame; the boxes of another video may not."""
    x, y, side = box
    width, height = frame.width, frame.height
    if not (
        abs(x - width / 2) < (width + side) / 2
        and abs(y - height / 2) < (height + side) / 2
        and side < 2 * max(width, height)
    ):
        problem = f"its face box ({side:.0f} pixels at {x:.0f}, {y:.0f}) lies outside the frame of {width}x{height}"
        raise CfnsrError(path, problem, "Fetch the clip and its landmarks again: they do not belong together")


def _attempt(task: tuple[Clip, np.ndarray | str | None], options: ExtractOptions) -> Sample | CfnsrError:
    """Extract one clip, given its boxes or why it has none (None: sound alone); return an error for the caller."""
    # The number of clips at a time must not change any byte, and each clip has its own thread already.
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    clip, boxes = task
    try:
        if isinstance(boxes, str):
            raise CfnsrError(clip.path, boxes, "Fetch the landmarks of this clip again")
        with container.one_clip(clip.path):
            return sample(clip, boxes, options)
    except CfnsrError as error:
        return error


def samples(
    clips: list[Clip],
    boxes: Mapping[str, FaceBoxes],
    skipped: Mapping[str, str],
    bad: BadClips,
    *,
    options: ExtractOptions,
    **workers: Any,
) -> Iterator[Sample | None]:
    """Extract clips in parallel; yield samples in the clips' order, None for a clip that is skipped.

    Args:
        clips: the clips.
        boxes: by clip id.
        skipped: by clip id, why it has no boxes.
        bad: receives each clip that cannot be used.
        options: see ``sample``.
        workers: ``jobs``, ``backend`` and ``address``, see ``parallel.run``.
    """
    tasks: list[tuple[Clip, np.ndarray | str | None]] = [(clip, None) for clip in clips]
    if "video" in options.modalities:
        tasks = [
            (clip, boxes[clip.id].boxes if clip.id in boxes else skipped.get(clip.id, "has no landmarks"))
            for clip in clips
        ]
    with closing(parallel.run(partial(_attempt, options=options), tasks, **workers)) as attempts:
        for clip, attempt in zip(clips, attempts, strict=True):
            if isinstance(attempt, CfnsrError):
                bad.handle(clip.id, attempt)
                yield None
            else:
                yield attempt


def index_rows(clips: list[Clip], boxes: Mapping[str, FaceBoxes]) -> list[dict[str, object]]:
    """Return the columns of a shard's index that are known before a clip is decoded, one row a clip."""
    return [
        {
            "clip": clip.id,
            "actor": clip.actor,
            "label": clip.label,
            "intensity": clip.intensity,
            "statement": clip.statement,
            "repetition": clip.repetition,
            **(boxes[clip.id].summary() if clip.id in boxes else {}),
            "source_md5": clip.source_md5(),
        }
        for clip in clips
    ]
