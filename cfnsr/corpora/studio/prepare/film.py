"""Write an mp4 file whose bytes depend only on pictures, sound and options."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags
from jaxtyping import Float32, UInt8

_AAC_BITS_A_SECOND = 128_000


def write(
    path: Path,
    pictures: Iterable[UInt8[np.ndarray, "rows width"]],
    sound: Float32[np.ndarray, " sample"],
    *,
    width: int,
    height: int,
    frame_rate: Fraction,
    crf: int,
    x264_preset: str,
    b_frames: int,
    rate_hz: int,
) -> None:
    """Write H.264 and mono AAC.

    One encoder thread and libav's bit-exact mode keep times, versions and the order of threads out of the file.

    Args:
        path: the file.
        pictures: the planes of YUV 4:2:0 below each other, one a frame.
        sound: -1 to 1.
        width, height: of the pictures.
        frame_rate: frames a second.
        crf: x264's constant rate factor; lower is better quality.
        x264_preset: x264's speed.
        b_frames: largest number of B-frames in a row.
        rate_hz: of the sound.
    """
    with av.open(
        str(path), "w", format="mp4", container_options={"fflags": "+bitexact", "movflags": "+faststart"}
    ) as out:
        options = {"preset": x264_preset, "crf": str(crf), "bf": str(b_frames), "b_strategy": "0", "threads": "1"}
        video = out.add_stream("libx264", rate=frame_rate, options=options)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.thread_count = 1
        video.codec_context.flags |= Flags.bitexact
        audio = out.add_stream("aac", rate=rate_hz, layout="mono")
        audio.bit_rate = _AAC_BITS_A_SECOND
        audio.codec_context.flags |= Flags.bitexact
        for picture in pictures:
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, "yuv420p")))
        out.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(sound[None], "fltp", "mono")
        frame.sample_rate = rate_hz
        frame.time_base, frame.pts = Fraction(1, rate_hz), 0
        out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
