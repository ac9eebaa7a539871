"""Write a copy of a recording with its predictions drawn into the picture, frame by frame, and with its sound."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np
from av.container import OutputContainer

from cfnsr.errors import CfnsrError
from cfnsr.inference.overlay import Overlay
from cfnsr.inference.table import Row
from cfnsr.preprocessing import audio
from cfnsr.preprocessing.clip_sound import timeline_of_file
from cfnsr.preprocessing.container import open_media
from cfnsr.preprocessing.media import Timeline
from cfnsr.preprocessing.video import pyav
from cfnsr.runtime.outputs import atomic_file, writing

FORMATS = (".mp4", ".mov", ".mkv")  # formats that keep each frame's time
_OPTIONS = {"preset": "veryfast", "crf": "20"}
_MAX_TICKS_A_SECOND = 10**9  # of any file
_AAC_HZ, _AAC_BITS_A_SECOND = 48000, 160_000
_BT601 = 6  # colour matrix with which libav converts RGB: SMPTE 170M, ITU-T H.273
_REMEDY = "Give another name for the file to write, ending in .mp4, .mov or .mkv"


def check(path: Path, out: Path) -> Timeline:
    """Check that a file can be annotated; return the times of its frames and sound.

    Args:
        path: the recording.
        out: the file to write.

    Raises:
        CfnsrError: the recording has no picture or cannot be read, or ``out`` is the recording itself or has another
            ending than ``FORMATS``.
    """
    if out.suffix.lower() not in FORMATS:
        raise CfnsrError(out, f"is none of the formats {', '.join(FORMATS)}", _REMEDY)
    if path.is_dir():
        raise CfnsrError(path, "is a folder, and --annotate takes one video", "Give one file")
    if out.exists() and path.exists() and out.samefile(path):
        raise CfnsrError(out, "is the recording itself", _REMEDY)
    timeline = timeline_of_file(path)
    if not timeline.pts:
        raise CfnsrError(path, "has no picture to draw into", "Leave out --annotate, or give a video")
    return timeline


def write(
    path: Path,
    timeline: Timeline,
    out: Path,
    rows: Sequence[Row],
    labels: Sequence[str],
    advance: Callable[[], object] = lambda: None,
) -> None:
    """Write the annotated recording: upright, in square pixels, with the times of the frames and the sound.

    Args:
        path: the recording.
        timeline: returned by ``check``.
        out: the file to write; on an error it is not left half written.
        rows: its predictions.
        labels: the emotions.
        advance: called after each frame.

    Raises:
        CfnsrError: a frame cannot be decoded, or the file cannot be written.
    """
    tick = Fraction(timeline.tick_s).limit_denominator(_MAX_TICKS_A_SECOND)
    first = round((timeline.start_s - timeline.origin_s) / tick)
    overlay: Overlay | None = None
    with _writing(out), atomic_file(out) as partial, av.open(str(partial.absolute()), "w") as container:
        video = _add_video(container, timeline, tick)
        sound = _Sounds(container, path, timeline)
        indices = list(range(len(timeline.pts)))
        for pts, time_s, frame in zip(
            timeline.pts, timeline.times_s.tolist(), pyav.frames(path, timeline, indices), strict=True
        ):
            image = _even(frame.image)
            if overlay is None:
                video.width, video.height = image.shape[1], image.shape[0]
                overlay = Overlay(rows, labels, video.width, video.height)
            overlay.draw(image, time_s)
            picture = av.VideoFrame.from_ndarray(image, "rgb24")
            picture.pts, picture.time_base = pts - timeline.pts[0] + first, tick
            # Encoded before the sound is written: the container's header needs the picture's size.
            packets = video.encode(picture)
            sound.mux(until_s=time_s)
            container.mux(packets)
            advance()
        container.mux(video.encode(None))
        sound.mux(until_s=np.inf)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Raise libav's errors about the output file as ``CfnsrError``."""
    try:
        with writing(out):
            yield
    except (av.error.FFmpegError, ValueError) as error:
        raise CfnsrError(out, f"cannot be written ({error})", _REMEDY) from error


def _add_video(container: OutputContainer, timeline: Timeline, tick: Fraction) -> Any:
    rate = Fraction(timeline.frame_rate_hz).limit_denominator(1001)
    video = container.add_stream("libx264", rate=rate, options=_OPTIONS)
    video.pix_fmt = "yuv420p"
    video.codec_context.time_base = tick
    video.codec_context.colorspace = _BT601
    return video


def _even(image: np.ndarray) -> np.ndarray:
    """Return a copy of even width and height, as the encoder needs: the last row or column is repeated."""
    height, width = image.shape[:2]
    return cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)


@dataclass(order=True)
class _Packet:
    """A packet of sound, its start in seconds from time 0, and the number of its track."""

    time_s: float
    number: int
    packet: Any = field(compare=False)

    @classmethod
    def each(cls, packets: Iterable[av.Packet], number: int) -> Iterator[_Packet]:
        """Yield packets with their times."""
        for packet in packets:
            assert packet.pts is not None
            yield cls(float(packet.pts * packet.time_base), number, packet)


class _Sounds:
    """Copies the tracks of sound packet by packet; a track that the format cannot hold is encoded as AAC."""

    def __init__(self, container: OutputContainer, path: Path, timeline: Timeline) -> None:
        self._container = container
        tracks = []
        with open_media(path) as source:
            for index in sorted(track for track, _ in timeline.tracks):
                stream = source.streams.audio[
                    [audio_stream.index for audio_stream in source.streams.audio].index(index)
                ]
                if stream.codec_context.codec.canonical_name in container.supported_codecs:
                    tracks.append(_copied(path, index, container.add_stream_from_template(stream), timeline))
                else:
                    layout = "mono" if stream.codec_context.channels == 1 else "stereo"
                    encoder = container.add_stream("aac", rate=_AAC_HZ, layout=layout, bit_rate=_AAC_BITS_A_SECOND)
                    tracks.append(_encoded(path, index, encoder, timeline))
        self._packets = heapq.merge(*tracks)
        self._next = next(self._packets, None)

    def mux(self, until_s: float) -> None:
        """Write the packets that begin before or at a time."""
        while self._next is not None and self._next.time_s <= until_s:
            self._container.mux(self._next.packet)
            self._next = next(self._packets, None)


def _copied(path: Path, index: int, target: Any, timeline: Timeline) -> Iterator[_Packet]:
    with open_media(path) as source:
        for packet in source.demux(source.streams[index]):
            if packet.dts is None or packet.time_base is None:
                continue
            origin = round(timeline.origin_s / packet.time_base)
            packet.pts, packet.dts = (packet.dts if packet.pts is None else packet.pts) - origin, packet.dts - origin
            packet.stream = target
            yield from _Packet.each([packet], index)


def _encoded(path: Path, index: int, encoder: Any, timeline: Timeline) -> Iterator[_Packet]:
    resampler = av.AudioResampler(encoder.format.name, encoder.layout.name, _AAC_HZ, frame_size=encoder.frame_size)
    for time_s, frame in audio.decoded(path, index):
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round((time_s - timeline.origin_s) * frame.sample_rate)
        for part in resampler.resample(frame):
            yield from _Packet.each(encoder.encode(part), index)
    for part in [*resampler.resample(None), None]:
        yield from _Packet.each(encoder.encode(part), index)
