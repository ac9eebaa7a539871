"""Real mp4 files in which every frame says which one it is, and the sound is a known tone."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from cfnsr.corpora.studio.prepare import openface

STRIPES = 8  # the frame's number in binary, one stripe a bit: compression cannot blur it away
TICKS = 90_000  # a second, in the files' own time


def numbered(
    path: Path,
    *,
    frames: int,
    width: int = 320,
    height: int = 240,
    rate: Fraction = Fraction(30000, 1001),
    ticks: Sequence[int] | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rotated: int = 0,
    b_frames: int = 3,
    sound_s: float | None = 1.0,
    sound_hz: int = 48000,
    channels: str = "mono",
    tone_hz: float = 440.0,
    faststart: bool = False,
) -> Path:
    """Write a video whose frame ``k``, as a player shows it, is ``k`` in binary, with a tone.

    Args:
        path: where.
        frames: how many.
        width, height: as shown.
        rate: frames a second.
        ticks: when each frame is shown, in 1/90000 s; else at the ``rate``.
        codec, pixels: of the video.
        rotated: degrees by which a player turns the stored picture counter-clockwise.
        b_frames: bidirectional frames in a row.
        sound_s: length of the tone in seconds; none: no sound.
        sound_hz, channels, tone_hz: its sampling rate, layout and pitch.
        faststart: whether the index stands before the pictures, so that a cut file can still be opened.
    """
    options = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        x264 = {"preset": "superfast", "bf": str(b_frames), "b_strategy": "0", "sc_threshold": "0", "crf": "12"}
        video = container.add_stream(codec, rate=rate, options=x264 if codec == "libx264" else {})
        quarters = rotated // 90
        video.width, video.height = (width, height) if quarters % 2 == 0 else (height, width)
        video.pix_fmt, video.codec_context.thread_count = pixels, 1
        if rotated:
            video.set_display_rotation(rotated)
        if ticks is not None:
            video.codec_context.time_base = Fraction(1, TICKS)
        audio = container.add_stream("aac", rate=sound_hz, layout=channels) if sound_s else None
        if audio is not None:
            audio.bit_rate = 128_000  # with less the encoder smears a pure tone
        noise = np.random.default_rng(0)
        for number in range(frames):
            image = noise.integers(0, 40, (height, width, 3), dtype=np.uint8)  # so that B-frames carry something
            for bit in range(STRIPES):
                if number >> bit & 1:
                    image[:, bit * width // STRIPES : (bit + 1) * width // STRIPES] += 200
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(image, -quarters)), "rgb24")
            if ticks is not None:
                picture.pts, picture.time_base = ticks[number], Fraction(1, TICKS)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if audio is not None and sound_s:
            time = np.arange(round(sound_s * sound_hz)) / sound_hz
            sound = (0.5 * np.sin(2 * np.pi * tone_hz * time)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.tile(sound, (2 if channels == "stereo" else 1, 1)), "fltp", channels)
            frame.sample_rate = sound_hz
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def number_of(image: np.ndarray) -> int:
    """Read a frame's number back."""
    width = image.shape[1] // STRIPES
    return sum(int(image[:, bit * width : (bit + 1) * width].mean() > 120) << bit for bit in range(STRIPES))


def landmarks_beside(path: Path, frames: int, confidence: float = 0.98) -> Path:
    """Write OpenFace's CSV of a face in the middle of a picture of 320x240."""
    corners = np.resize(np.array([(110, 70), (210, 70), (110, 170), (210, 170)]), (68, 2))
    openface.write(path, np.tile(corners, (frames, 1, 1)).astype(float), confidence, 29.97)
    return path
