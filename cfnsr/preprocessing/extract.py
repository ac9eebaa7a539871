"""One clip -> one sample: the step that turns files into arrays."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from cfnsr.corpora.clip import Clip, Sample
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import audio, video
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.runtime.bad_clips import BadClips
from cfnsr.runtime.engines import Engine


def sample(
    path: Path,
    squares: np.ndarray,
    *,
    frames: int,
    side_px: int,
    decoder: str,
    rate_hz: int,
    offset_s: float,
    window_s: float,
    n_fft: int,
    hop: int,
    mels: int,
    coefficients: int,
    top_db: float,
    silence_db: float,
) -> Sample:
    """Decode one clip into what the networks see.

    Args:
        path: the mp4 file.
        squares: the face box of every frame, rows of (centre x, centre y, side) in pixels.
        frames: face crops to take, evenly spaced over the clip.
        side_px: their side in pixels.
        decoder: what decodes the pictures, a file of ``cfnsr.preprocessing.video``.
        rate_hz, offset_s, window_s: the sound's rate in Hz and its window in seconds.
        n_fft, hop, mels, coefficients, top_db: of the log-mel and MFCC, see ``audio.features``.
        silence_db: a clip whose loudest log-mel value is below is silent.

    Raises:
        CfnsrError: the file cannot be decoded, its boxes are not of this video, or it shows or says nothing.
    """
    when = video.timeline(path)
    if len(when.pts) != len(squares):
        raise CfnsrError(
            path, f"has {len(when.pts)} frames, its landmarks {len(squares)}", "Fetch the clip and its landmarks again"
        )
    chosen = video.evenly_spaced(when.pts, frames)
    crops = []
    for index, image in zip(chosen, video.frames(path, when.pts, chosen, decoder=decoder), strict=True):
        _check_box(path, squares[index], image)
        crops.append(video.crop(image, squares[index], side_px))
    pictures = np.stack(crops)
    sound, padded_s = audio.waveform(path, rate_hz=rate_hz, offset_s=offset_s, window_s=window_s)
    mel, mfcc = audio.features(
        sound, rate_hz=rate_hz, n_fft=n_fft, hop=hop, mels=mels, coefficients=coefficients, top_db=top_db
    )
    for name, values in (("picture", pictures), ("sound", mel)):
        if values.min() == values.max():
            raise CfnsrError(path, f"its {name} is constant (black, or silent)", "Fetch the clip again, or remove it")
    if mel.max() < silence_db:
        raise CfnsrError(
            path,
            f"is silent: its loudest is {mel.max():.0f} dB, under extract.audio.silence_db = {silence_db}",
            "Remove the clip, or lower the threshold",
        )
    return Sample(pictures, mel, mfcc, duration_s=when.duration_s, padded_s=padded_s)


def _check_box(path: Path, square: np.ndarray, image: np.ndarray) -> None:
    """A box of another video would have its edge repeated a thousandfold, and show no face."""
    x, y, side = square
    height, width = image.shape[:2]
    if not (
        abs(x - width / 2) < (width + side) / 2
        and abs(y - height / 2) < (height + side) / 2
        and side < 2 * max(width, height)
    ):
        raise CfnsrError(
            path,
            f"its face box ({side:.0f} pixels at {x:.0f}, {y:.0f}) misses the picture of {width}x{height}",
            "Fetch the clip and its landmarks again: they do not belong together",
        )


class _Task(NamedTuple):
    """All that a clip's sample is made from; or why none can be."""

    path: Path
    squares: np.ndarray | None
    faceless: str
    options: dict[str, Any]


def _attempt(task: _Task) -> Sample | CfnsrError:
    # How many clips are worked on at a time must not touch a bit; and a clip is a thread already.
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        if task.squares is None:
            raise CfnsrError(task.path, task.faceless, "Fetch the landmarks of this clip again")
        return sample(task.path, task.squares, **task.options)
    except CfnsrError as error:  # told in the clips' order, not in that in which they end
        return error


def samples(
    clips: list[Clip],
    boxes: dict[str, FaceBoxes],
    faceless: dict[str, str],
    bad: BadClips,
    *,
    engine: Engine,
    **options: Any,
) -> Iterator[Sample | None]:
    """Extract clips side by side, in their order; none for a clip that is skipped.

    Args:
        clips: the clips.
        boxes: by clip id.
        faceless: by clip id, why it has no boxes.
        bad: is told of each clip that cannot be used.
        engine: what works on them.
        options: those of ``sample``.
    """
    tasks = [
        _Task(
            clip.path,
            boxes[clip.id].squares if clip.id in boxes else None,
            faceless.get(clip.id, "has no landmarks"),
            options,
        )
        for clip in clips
    ]
    with contextlib.closing(engine(_attempt, tasks)) as attempts:
        for clip, found in zip(clips, attempts, strict=True):
            if isinstance(found, CfnsrError):
                bad.meet(clip.id, found)
            yield found if isinstance(found, Sample) else None


def rows(clips: list[Clip], boxes: dict[str, FaceBoxes]) -> list[dict[str, object]]:
    """What the shard's index says of each clip before it is decoded."""
    return [
        {
            "clip": clip.id,
            "actor": clip.actor,
            "label": clip.label,
            "intensity": clip.intensity,
            "statement": clip.statement,
            "repetition": clip.repetition,
            **(_described(boxes[clip.id]) if clip.id in boxes else {}),
            "source_md5": _md5(clip.path),
        }
        for clip in clips
    ]


def _described(boxes: FaceBoxes) -> dict[str, object]:
    return {
        "box_side_px": float(boxes.squares[0, 2]),
        "box_confidence": float(np.nanmean(boxes.confidence)),
        "box_interpolated": float(boxes.interpolated.sum() / (~np.isnan(boxes.confidence)).sum()),
    }


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
