"""Real mp4 files in which every frame says which one it is, and the sound is a known tone."""

from __future__ import annotations

import wave
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer

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
    matrix: Sequence[int] | None = None,
    pixel_ratio: Fraction | None = None,
    transfer: int = 0,
    keyframe_every: int = 0,
    first: int = 0,
    cover_px: int = 0,
    grain: int = 1,
    b_frames: int = 3,
    sound_s: float | None = 1.0,
    sound_hz: int = 48000,
    channels: str = "mono",
    tone_hz: float = 440.0,
    sounds: Sequence[Mapping[str, float]] = (),
    sound_codec: str = "aac",
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
        matrix: display matrix of the file, nine numbers; then the pictures are stored as they are.
        pixel_ratio: width of a stored pixel by its height; then ``width`` is the stored width.
        transfer: number of the transfer characteristics, ITU-T H.273; 0: not named.
        keyframe_every: frames from one keyframe to the next; 0: as the encoder likes.
        first: number of the first frame.
        cover_px: side of a still picture that stands before the video as a stream of its own; 0: none.
        grain: random brightnesses of a pixel, 1 to 50; more than one take ten times as long to write and read.
        b_frames: bidirectional frames in a row.
        sound_s: length of the tone in seconds; none: no sound.
        sound_hz, channels, tone_hz: its sampling rate, layout and pitch.
        sounds: tracks of sound, each with the loudness of its channels by name, ``FC``; empty: one of equal channels.
        sound_codec: of the sound.
        faststart: whether the index stands before the pictures, so that a cut file can still be opened.
    """
    options = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        cover = container.add_stream("mjpeg", rate=1) if cover_px else None
        x264 = {"preset": "superfast", "bf": str(b_frames), "b_strategy": "0", "sc_threshold": "0", "crf": "12"}
        video = container.add_stream(codec, rate=rate, options=x264 if codec == "libx264" else {})
        quarters = rotated // 90
        video.width, video.height = (width, height) if quarters % 2 == 0 else (height, width)
        video.pix_fmt, video.codec_context.thread_count = pixels, 1
        if transfer:
            context = video.codec_context
            context.color_primaries, context.color_trc, context.colorspace = (9 if transfer > 1 else 1), transfer, 1
        if keyframe_every:
            video.codec_context.gop_size = keyframe_every
        if pixel_ratio:
            video.sample_aspect_ratio = pixel_ratio
        if rotated:
            video.set_display_rotation(rotated)
        if matrix is not None:
            video.set_display_matrix(list(matrix))
        if ticks is not None:
            video.codec_context.time_base = Fraction(1, TICKS)
        tracks = sounds or ([{}] if sound_s else [])
        audios = [container.add_stream(sound_codec, rate=sound_hz, layout=channels) for _ in tracks]
        if cover is not None:
            cover.width, cover.height, cover.pix_fmt = cover_px, cover_px, "yuvj420p"
            grey = np.full((cover_px, cover_px, 3), 128, np.uint8)
            container.mux([*cover.encode(av.VideoFrame.from_ndarray(grey, "rgb24")), *cover.encode(None)])
        random = np.random.default_rng(0)
        for number in range(first, first + frames):
            image = random.integers(0, grain, (height, width, 3), dtype=np.uint8)
            for bit in range(STRIPES):
                if number >> bit & 1:
                    image[:, bit * width // STRIPES : (bit + 1) * width // STRIPES] += 200
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(image, -quarters)), "rgb24")
            if ticks is not None:
                picture.pts, picture.time_base = ticks[number], Fraction(1, TICKS)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        for audio, loudness in zip(audios, tracks, strict=True):
            _encode_tone(container, audio, sound_s or 1.0, tone_hz, loudness)
    return path


def _encode_tone(
    container: OutputContainer, audio: av.AudioStream, length_s: float, tone_hz: float, loudness: Mapping[str, float]
) -> None:
    audio.bit_rate = 64_000 * max(2, audio.layout.nb_channels)  # with less the encoder smears a pure tone
    time_s = np.arange(round(length_s * audio.rate)) / audio.rate
    tone = (0.5 * np.sin(2 * np.pi * tone_hz * time_s)).astype(np.float32)
    channels = [tone * (loudness.get(channel.name, 0.0) if loudness else 1.0) for channel in audio.layout.channels]
    frame = av.AudioFrame.from_ndarray(np.stack(channels, dtype=np.float32).T.reshape(1, -1), "flt", audio.layout.name)
    frame.sample_rate = audio.rate
    fit = av.AudioResampler(audio.format.name, audio.layout.name, audio.rate, frame_size=audio.frame_size or None)
    for part in [*fit.resample(frame), *fit.resample(None)]:
        container.mux(audio.encode(part))
    container.mux(audio.encode(None))


def tone(path: Path, *, pitch_hz: float, rate_hz: int = 16000, length_s: float = 1.0) -> Path:
    """Write a wav file of one tone."""
    time_s = np.arange(round(length_s * rate_hz)) / rate_hz
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((0.3 * 32767 * np.sin(2 * np.pi * pitch_hz * time_s)).astype("<i2").tobytes())
    return path


def remuxed(
    path: Path,
    sources: Sequence[Path],
    *,
    late_s: Mapping[str, float] | None = None,
    keep: Callable[[av.Packet], bool] = lambda _: True,
) -> Path:
    """Copy the packets of files, one after the other, into another file, without encoding.

    Args:
        path: the file to write; its suffix names the format.
        sources: files with the same streams.
        late_s: seconds added to the times of ``video`` or ``audio``.
        keep: whether a packet is copied.
    """
    with av.open(str(path), "w") as out:
        streams: dict[int, Any] = {}
        ends_s = 0.0
        for source in sources:
            with av.open(str(source)) as container:
                for stream in container.streams:
                    streams.setdefault(stream.index, out.add_stream_from_template(stream) if not ends_s else None)
                more_s, starts_s = ends_s, None
                for packet in container.demux():
                    if packet.dts is None or not keep(packet):
                        continue
                    starts_s = packet.dts * packet.time_base if starts_s is None else starts_s
                    kind = packet.stream.type
                    ticks = round(
                        (more_s - (starts_s if more_s else 0) + (late_s or {}).get(kind, 0)) / packet.time_base
                    )
                    packet.pts, packet.dts = (packet.pts or 0) + ticks, packet.dts + ticks
                    ends_s = max(ends_s, float((packet.pts + packet.duration) * packet.time_base))
                    packet.stream = streams[packet.stream_index]
                    out.mux(packet)
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
