"""Choose the streams of media files, and put picture and sound on one clock.

Time 0 is when the first frame or the first sample is presented, whichever comes earlier. A file may begin its sound
later than its picture, or the other way round, and its own times may begin anywhere. Where the picture is not used,
time 0 is the first sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from jaxtyping import Float64

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.container import decode_sound, open_media, pictures
from cfnsr.runtime import sources

_REMEDY = "Fetch or record the clip again"
_UNTIMED = {"avi"}  # containers without presentation times: libav guesses them, up to three frames off
_FASTEST_HZ = 1000.0  # frame rates above it come from broken times
_USUAL_HZ = 25.0  # frame rate of a single frame whose stream names none
_MAX_LOST = 0.5  # share of the frames before the first one that can be decoded
_MAX_CUT_S = 0.2  # by which a file may end before the length in its header
_HDR = {16: "pq", 18: "hlg"}  # transfer characteristics, ITU-T H.273


@dataclass(frozen=True)
class Timeline:
    """The times of a clip's frames, and its tracks of sound. Of sound alone there are no frames.

    Attributes:
        stream: index of the video stream; -1 of sound alone.
        pts: presentation times in the stream's ticks, one a frame, ascending; the frames' numbers if ``counted``.
        tick_s: length of a tick in seconds.
        counted: whether the file has no presentation times, so that frames are counted as they are decoded.
        start_s: of the first frame on the file's clock, in seconds.
        origin_s: time 0 on the file's clock, in seconds.
        frame_rate_hz: average frames a second; 0 of sound alone.
        duration_s: length of the video stream in seconds; of sound alone, that of its best track.
        lost_frames: frames before the first that can be decoded; they are not in ``pts``.
        tracks: for each track of sound, best first: index of the stream, and when it begins, in seconds from time 0.
        pixel_ratio: width of a stored pixel by its height.
        transfer: ``pq`` or ``hlg`` if the picture has a high dynamic range, else ``sdr``.
    """

    stream: int
    pts: tuple[int, ...]
    tick_s: float
    counted: bool
    start_s: float
    origin_s: float
    frame_rate_hz: float
    duration_s: float
    lost_frames: int
    tracks: tuple[tuple[int, float], ...]
    pixel_ratio: float
    transfer: str

    @cached_property
    def times_s(self) -> Float64[np.ndarray, " frame"]:
        """Return the time of each frame, in seconds from time 0."""
        pts = np.array(self.pts, np.float64)
        return (pts - pts[:1]) * self.tick_s + self.start_s - self.origin_s

    def sound_offset_s(self, from_s: float = 0.0) -> float:
        """Return the seconds by which the best track begins after the picture; 0 where one of them is missing.

        Args:
            from_s: what is before is not used, in seconds from time 0.
        """
        if not self.tracks or not self.pts:
            return 0.0
        return max(self.tracks[0][1], from_s) - max(float(self.times_s[0]), from_s)


class _Packet(NamedTuple):
    pts: int | None
    keyframe: bool
    discarded: bool  # decoded but not shown, by the file's edit list


def timeline(path: Path) -> Timeline:
    """Read the times of all frames and the starts of the tracks of sound, without decoding where the file has times.

    The video stream with the most frames is taken: covers and stills are passed over.

    Raises:
        CfnsrError: the file cannot be read, has no video that can be decoded, was cut, or lost too many frames.
    """
    source = sources.of(path)
    if source is not None:
        return source.timeline
    with open_media(path) as container:
        videos = _decodable(container, path)
        audios = _best_first(container)
        packets, starts_s, ends_s = _scan(container, videos, audios)
        _check_cut(path, container, ends_s)
        stream = max(videos, key=lambda video: len(packets[video.index]))
        # libav frees streams with their container: nothing is read from them after this block.
        index, tick_s = stream.index, float(stream.time_base or 0)
        rate_hz = float(stream.average_rate or stream.guessed_rate or _USUAL_HZ)
        pixel_ratio = float(stream.sample_aspect_ratio or 1)
        transfer = _HDR.get(int(stream.codec_context.color_trc or 0), "sdr")
        is_untimed = container.format.name in _UNTIMED
        counted = is_untimed or any(packet.pts is None for packet in packets[index])
        tracks = [(track.index, starts_s[track.index]) for track in audios if track.index in starts_s]
    pts, lost = _shown(packets[index])
    start_s = pts[0] * tick_s if pts else 0.0
    if counted:
        # What AVI's first packet says is a guess; in other files it is true, and only later ones lack their time.
        start_s = 0.0 if is_untimed else start_s
        pts, lost, tick_s = list(range(_count(path, index))), 0, 1 / min(rate_hz, _FASTEST_HZ)
    if not pts or not tick_s:
        raise CfnsrError(path, "the video stream is empty", _REMEDY)
    if lost > _MAX_LOST * (lost + len(pts)):
        problem = f"its first {lost} of {lost + len(pts)} frames cannot be decoded: it was cut without a keyframe"
        raise CfnsrError(path, problem, "Cut the clip again, with re-encoding")
    span_s = (pts[-1] - pts[0]) * tick_s
    last_s = span_s / (len(pts) - 1) if len(pts) > 1 else 1 / rate_hz
    origin_s = min([start_s, *(track_s for _, track_s in tracks)])
    return Timeline(
        stream=index,
        pts=tuple(pts),
        tick_s=tick_s,
        counted=counted,
        start_s=start_s,
        origin_s=origin_s,
        frame_rate_hz=min(1 / last_s, _FASTEST_HZ),
        duration_s=span_s + last_s,
        lost_frames=lost,
        tracks=tuple((track, track_s - origin_s) for track, track_s in tracks),
        pixel_ratio=pixel_ratio,
        transfer=transfer,
    )


def sound_timeline(path: Path) -> Timeline:
    """Read the starts of the tracks of sound of a clip whose picture, if there is one, is not used.

    Raises:
        CfnsrError: the file cannot be read, has no sound that can be decoded, or was cut.
    """
    with open_media(path) as container:
        audios = _best_first(container)
        _, starts_s, ends_s = _scan(container, [], audios)
        _check_cut(path, container, ends_s)
        tracks = [(track.index, starts_s[track.index]) for track in audios if track.index in starts_s]
    if not tracks:
        raise CfnsrError(path, "has no audio stream that can be decoded", "Remove the clip, or fetch it again")
    origin_s = min(start_s for _, start_s in tracks)
    best, start_s = tracks[0]
    return Timeline(
        stream=-1,
        pts=(),
        tick_s=0.0,
        counted=False,
        start_s=start_s,
        origin_s=origin_s,
        frame_rate_hz=0.0,
        duration_s=ends_s.get(best, start_s) - start_s,
        lost_frames=0,
        tracks=tuple((track, start_s - origin_s) for track, start_s in tracks),
        pixel_ratio=1.0,
        transfer="sdr",
    )


def _decodable(container: InputContainer, path: Path) -> list[av.VideoStream]:
    """Return the video streams that can be decoded and are no covers."""
    shown = pictures(container)
    if not shown:
        remedy = "Remove the clip, fetch it again, or use the sound alone (`modalities` in params.yaml)"
        raise CfnsrError(path, "has no video stream", remedy)
    known = [stream for stream in shown if stream.codec_context is not None]
    if not known:
        raise CfnsrError(path, "its video is of an unknown or protected kind", "Convert the clip to H.264 and AAC")
    return known


def _best_first(container: InputContainer) -> list[av.AudioStream]:
    """Return the tracks of sound that can be decoded, the one that libav thinks best first."""
    best = container.streams.best("audio")
    known = [stream for stream in container.streams.audio if stream.codec_context is not None]
    return sorted(known, key=lambda stream: best is None or stream.index != best.index)


def _scan(
    container: InputContainer, videos: list[av.VideoStream], audios: list[av.AudioStream]
) -> tuple[dict[int, list[_Packet]], dict[int, float], dict[int, float]]:
    """Read all packets.

    Returns:
        By stream: what is needed of each video packet; when each track of sound begins, in seconds of the file's
        clock; and when the last packet ends.
    """
    packets: dict[int, list[_Packet]] = {stream.index: [] for stream in videos}
    unstarted = {stream.index for stream in audios}
    starts_s: dict[int, float] = {}
    ends_s: dict[int, float] = {}
    for packet in container.demux():
        index = packet.stream_index
        if packet.pts is not None and packet.time_base:
            end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            ends_s[index] = max(ends_s.get(index, 0.0), end_s)
        if index in packets and packet.size:
            # Keep only these: all packets together are as large as the file.
            packets[index].append(_Packet(packet.pts, packet.is_keyframe, packet.is_discard))
        elif index in unstarted:
            # Only a decoded frame tells what remains of an encoder's lead-in.
            for frame in decode_sound(packet):
                starts_s[index] = float(frame.time or 0.0)
                unstarted.discard(index)
                break
    return packets, starts_s, ends_s


def _shown(packets: list[_Packet]) -> tuple[list[int], int]:
    """Return the ascending times of the frames that can be decoded and are shown, and the number of those lost.

    Frames that are shown before the first keyframe need others that were cut off.
    """
    first_key = next((packet.pts for packet in packets if packet.keyframe), None)
    pts = sorted({packet.pts for packet in packets if packet.pts is not None and not packet.discarded})
    kept = [moment for moment in pts if first_key is None or moment >= first_key]
    return kept, len(pts) - len(kept)


def _count(path: Path, index: int) -> int:
    """Count the frames by decoding all of them."""
    with open_media(path) as container:
        stream = container.streams[index]
        assert isinstance(stream, av.VideoStream)
        stream.codec_context.skip_frame = "DEFAULT"
        return sum(1 for _ in container.decode(stream))


def _check_cut(path: Path, container: InputContainer, ends_s: dict[int, float]) -> None:
    """Compare the end of the last packet with the header's, where the header has one of its own."""
    if "matroska" not in container.format.name or container.duration is None:
        return
    end_s, length_s = max(ends_s.values(), default=0.0), container.duration / av.time_base
    if end_s < length_s - _MAX_CUT_S:
        raise CfnsrError(path, f"was cut: it ends at {end_s:.1f} s of {length_s:.1f} s", "Fetch the clip again")
