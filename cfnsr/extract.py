"""One clip -> one sample: the step that turns files into arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed

from cfnsr import audio, video
from cfnsr.errors import CfnsrError
from cfnsr.faces import FaceBoxes
from cfnsr.types import Clip, Sample


def sample(
    path: Path,
    squares: np.ndarray,
    *,
    frames: int,
    size: int,
    rate_hz: int,
    offset_s: float,
    window_s: float,
    n_fft: int,
    hop: int,
    mels: int,
    coefficients: int,
    top_db: float,
) -> Sample:
    """Decode one clip into what the networks see.

    Args:
        path: the mp4 file.
        squares: the face box of every frame, rows of (centre x, centre y, side) in pixels.
        frames: face crops to take, evenly spaced over the clip.
        size: their side in pixels.
        rate_hz, offset_s, window_s: the sound's rate in Hz and its window in seconds.
        n_fft, hop, mels, coefficients, top_db: of the log-mel and MFCC, see ``audio.features``.

    Raises:
        CfnsrError: the file cannot be decoded, or its frames and its boxes differ in number.
    """
    when = video.timeline(path)
    if len(when.pts) != len(squares):
        raise CfnsrError(
            path, f"has {len(when.pts)} frames, its landmarks {len(squares)}", "Fetch the clip and its landmarks again"
        )
    chosen = video.evenly_spaced(len(when.pts), frames)
    crops = [
        video.crop(image, squares[index], size)
        for index, image in zip(chosen, video.frames(path, when.pts, chosen), strict=True)
    ]
    sound, padded_s = audio.waveform(path, rate_hz=rate_hz, offset_s=offset_s, window_s=window_s)
    mel, mfcc = audio.features(
        sound, rate_hz=rate_hz, n_fft=n_fft, hop=hop, mels=mels, coefficients=coefficients, top_db=top_db
    )
    return Sample(np.stack(crops), mel, mfcc, duration_s=when.duration_s, padded_s=padded_s)


def samples(clips: list[Clip], boxes: dict[str, FaceBoxes], *, jobs: int, **options: Any) -> Iterator[Sample]:
    """Extract clips side by side, in their order.

    Threads, not processes: decoding, scaling and the Fourier transform release Python's lock, and a new
    process would import torch for three seconds to work for two.

    Args:
        clips: the clips.
        boxes: by clip id.
        jobs: clips at a time; 0 takes every core.
        options: those of ``sample``.
    """
    torch.set_num_threads(1)  # a clip is a thread already, and how many there are must not touch a bit
    work = (delayed(sample)(clip.path, boxes[clip.id].squares, **options) for clip in clips)
    return Parallel(n_jobs=jobs or -1, backend="threading", return_as="generator")(work)  # pyright: ignore


def rows(clips: list[Clip], boxes: dict[str, FaceBoxes], source: Path) -> list[dict[str, object]]:
    """What the shard's index says of each clip before it is decoded.

    Raises:
        CfnsrError: a clip has no boxes in ``source``.
    """
    lost = [clip.id for clip in clips if clip.id not in boxes]
    if lost:
        raise CfnsrError(source, f"no face boxes for {', '.join(lost)}", "Fetch the landmarks of these clips")
    return [
        {
            "clip": clip.id,
            "actor": clip.actor,
            "label": clip.label,
            "intensity": clip.intensity,
            "statement": clip.statement,
            "repetition": clip.repetition,
            "box_side_px": float(boxes[clip.id].squares[0, 2]),
            "box_confidence": float(boxes[clip.id].confidence.mean()),
            "box_interpolated": float(boxes[clip.id].interpolated.mean()),
            "source_md5": _md5(clip.path),
        }
        for clip in clips
    ]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
