"""Measure clips without decoding them, before any stage runs: length, tracks, sizes, and what is no video at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np

from cfnsr.corpora.folder.prepare.intake_file import Entry
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.container import open_media, pictures
from cfnsr.preprocessing.display import Display
from cfnsr.preprocessing.media import sound_timeline, timeline
from cfnsr.runtime import parallel, progress

_MAX_WINDOW_S = 6.0
_COVERED = 90  # percentage of the clips that the window covers wholly
_OUTLIER = 1 / 3  # of the median length; a shorter clip does not shorten the window


@dataclass(frozen=True)
class Header:
    """What the header and the packets of a clip say; zeros if it has a problem.

    Attributes:
        problem: why the clip cannot be used; empty if it can.
        duration_s: length of the picture, or of the whole file if that is longer, in seconds; of a part, the part's.
        frames: number of frames of the file; 0 of sound alone, which has no size, rate or transfer either.
        lost_frames: frames before the first that can be decoded; they are not counted.
        frame_rate_hz: average frames a second.
        width, height: in square pixels, before a turn.
        pixel_ratio: width of a stored pixel by its height.
        video_streams: with covers and stills.
        tracks: of sound.
        sound_offset_s: seconds by which the best track begins after the picture; 0 without sound.
        transfer: see ``Timeline``.
    """

    problem: str = ""
    duration_s: float = 0.0
    frames: int = 0
    lost_frames: int = 0
    frame_rate_hz: float = 0.0
    width: int = 0
    height: int = 0
    pixel_ratio: float = 0.0
    video_streams: int = 0
    tracks: int = 0
    sound_offset_s: float = 0.0
    transfer: str = ""


def read(path: Path) -> Header:
    """Read one clip; what cannot be read is a header with a ``problem``."""
    try:
        stand_in = _stand_in(path)
        return Header(stand_in) if stand_in else _measure(path)
    except CfnsrError as error:
        return Header(error.problem)
    except OSError as error:
        return Header(f"cannot be read ({error.strerror})")
    except Exception as error:  # a library's error on one clip is that clip's problem
        return Header(f"cannot be read ({type(error).__name__}: {error})")


def _stand_in(path: Path) -> str:
    """Return what a file is that stands in place of a video; empty for anything else."""
    with path.open("rb") as file:
        start = file.read(200)
    if not start:
        return "is empty"
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer: fetch the videos with `git lfs pull`"
    if start.startswith(b"/annex/") or b".git/annex/" in start:
        return "is a git-annex pointer: fetch the videos with `git annex get`"
    if start.lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page, not a video: fetch it again"
    return ""


def _measure(path: Path) -> Header:
    with open_media(path) as container:
        seen = bool(pictures(container))
    if not seen:
        times = sound_timeline(path)
        return Header(duration_s=round(times.duration_s, 3), tracks=len(times.tracks))
    times = timeline(path)
    if len(times.pts) == 1:
        return Header("is a single picture")
    with open_media(path) as container:
        stream = container.streams[times.stream]
        assert isinstance(stream, av.VideoStream)
        display = Display.of(stream, times.pixel_ratio)
        streams, file_s = len(container.streams.video), (container.duration or 0) / av.time_base
    return Header(
        duration_s=round(max(times.duration_s, file_s), 3),
        frames=len(times.pts),
        lost_frames=times.lost_frames,
        frame_rate_hz=round(times.frame_rate_hz, 3),
        width=display.width,
        height=display.height,
        pixel_ratio=round(times.pixel_ratio, 4),
        video_streams=streams,
        tracks=len(times.tracks),
        sound_offset_s=round(times.sound_offset_s(), 3),
        transfer=times.transfer,
    )


def propose_window(durations_s: list[float], min_sound: float) -> float:
    """Return the length of a window from the start of clips that covers most of them, in seconds.

    It is at most so long that the shortest clip, outliers aside, fills the share of it that must have sound.

    Args:
        durations_s: of the clips, at least one.
        min_sound: ``extract.audio.min_sound``.
    """
    covered = np.percentile(durations_s, _COVERED, method="lower")
    shortest = min(duration_s for duration_s in durations_s if duration_s >= _OUTLIER * np.median(durations_s))
    longest = shortest / min_sound if min_sound else np.inf
    return max(0.1, float(np.floor(10 * min(covered, longest, _MAX_WINDOW_S)) / 10))


def measure(videos: Path, entries: Sequence[Entry], jobs: int) -> list[tuple[Entry, Header]]:
    """Read the header of every file; an entry takes over its header's problem."""
    good = [entry for entry in entries if not entry.problem]
    files = list(dict.fromkeys(file for entry in good for file in (entry.file, entry.audio) if file))
    paths = [videos / file for file in files]
    with (
        progress.items() as bar,
        closing(parallel.run(read, paths, jobs=jobs, backend="threading", address="")) as results,
    ):
        headers = dict(zip(files, bar.track(results, total=len(paths), description="headers"), strict=True))
    clips = []
    for entry in entries:
        header = Header() if entry.problem else _of_entry(entry, headers)
        clips.append((replace(entry, problem=entry.problem or header.problem), header))
    return clips


def _of_entry(entry: Entry, headers: Mapping[str, Header]) -> Header:
    """Return the header of a clip that may be a part of its file, or have its sound from another one.

    Args:
        entry: the clip.
        headers: by file.
    """
    header = headers[entry.file]
    if entry.audio and not header.problem:
        sound = headers[entry.audio]
        problem = f"{entry.audio} {sound.problem}" if sound.problem else ""
        header = replace(header, problem=problem, tracks=sound.tracks, sound_offset_s=0.0)
    if header.problem or (entry.start_s == 0 and entry.end_s is None):
        return header
    length_s = min(header.duration_s, np.inf if entry.end_s is None else entry.end_s) - entry.start_s
    if length_s <= 0:
        return Header(f"begins at {entry.start_s:g} s, where its file lasts {header.duration_s:.2f} s")
    return replace(header, duration_s=round(length_s, 3))


def with_window(clips: Sequence[tuple[Entry, Header]], min_sound: float) -> tuple[list[tuple[Entry, Header]], float]:
    """Propose a window; clips that are too short for it are problems, or lack a modality that other clips have."""
    good = [header for entry, header in clips if not entry.problem]
    if not good:
        return list(clips), propose_window([1.0], min_sound)
    window_s = propose_window([header.duration_s for header in good], min_sound)
    needed = modalities(clips)

    def problem(entry: Entry, header: Header) -> str:
        if entry.problem:
            return entry.problem
        if "video" in needed and not header.frames:
            return "has no picture"
        if "audio" in needed and not header.tracks:
            return "has no sound"
        if header.duration_s < min_sound * window_s:
            return f"lasts {header.duration_s:.2f} s: too short for a window of {window_s} s"
        return ""

    return [(replace(entry, problem=problem(entry, header)), header) for entry, header in clips], window_s


def modalities(clips: Sequence[tuple[Entry, Header]]) -> list[str]:
    """Return what at least one usable clip has."""
    good = [header for entry, header in clips if not entry.problem]
    has = {"video": any(header.frames for header in good), "audio": any(header.tracks for header in good)}
    return [modality for modality, is_there in has.items() if is_there]
