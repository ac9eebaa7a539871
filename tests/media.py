"""Real mp4 files in which every frame says which one it is, and the sound is a known tone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

STRIPES = 8  # the frame's number in binary, one stripe a bit: compression cannot blur it away


def numbered(
    path: Path,
    *,
    frames: int,
    width: int = 320,
    height: int = 240,
    rate: Fraction = Fraction(30000, 1001),
    b_frames: int = 3,
    sound_s: float | None = 1.0,
    tone_hz: float = 440.0,
) -> Path:
    """Write a video whose frame ``k`` shows ``k`` in binary, with a tone of ``sound_s`` seconds (none: no sound)."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(
            "libx264", rate=rate, options={"bf": str(b_frames), "b_strategy": "0", "sc_threshold": "0", "crf": "12"}
        )
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.thread_count = 1
        audio = container.add_stream("aac", rate=48000) if sound_s else None
        noise = np.random.default_rng(0)
        for number in range(frames):
            image = noise.integers(0, 40, (height, width, 3), dtype=np.uint8)  # so that B-frames carry something
            for bit in range(STRIPES):
                if number >> bit & 1:
                    image[:, bit * width // STRIPES : (bit + 1) * width // STRIPES] += 200
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(video.encode(None))
        if audio is not None and sound_s:
            time = np.arange(round(sound_s * 48000)) / 48000
            sound = (0.5 * np.sin(2 * np.pi * tone_hz * time)).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(sound, "fltp", "mono")
            frame.sample_rate = 48000
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def number_of(image: np.ndarray) -> int:
    """Read a frame's number back."""
    width = image.shape[1] // STRIPES
    return sum(int(image[:, bit * width : (bit + 1) * width].mean() > 120) << bit for bit in range(STRIPES))
