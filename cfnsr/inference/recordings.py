"""The recordings that a model predicts: files, folders of files, or arrays; and how they are read in windows."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av import AudioFrame
from jaxtyping import Float32, UInt8

from cfnsr.corpora.filenames import MEDIA_SUFFIXES
from cfnsr.errors import CfnsrError
from cfnsr.inference import array_check
from cfnsr.preprocessing import audio
from cfnsr.preprocessing.clip_sound import timeline_of_file
from cfnsr.preprocessing.display import Frame
from cfnsr.preprocessing.media import Timeline
from cfnsr.preprocessing.video import pyav

_PART = 4096  # samples of an array that are read at a time
_Sound = Iterator[tuple[float, AudioFrame]]


@dataclass(frozen=True)
class Recording:
    """A recording in memory: pictures, sound, or both, which begin at the same time.

    Attributes:
        frames: RGB, 0 to 255; None without pictures.
        frame_rate_hz: frames a second.
        samples: mono, -1 to 1; None without sound.
        rate_hz: sampling rate of the samples.
        name: of the recording, in the table.
    """

    frames: UInt8[np.ndarray, "frame height width 3"] | None = None
    frame_rate_hz: float = 25.0
    samples: Float32[np.ndarray, " sample"] | None = None
    rate_hz: int = 16000
    name: str = "recording"


Source = str | Path | Recording
Sources = Source | Iterable[Source]


def listed(sources: Sources) -> list[Path | Recording]:
    """List files and recordings, those in folders sorted by name.

    Raises:
        CfnsrError: a path does not exist, or a folder has no video and no sound file.
    """
    if isinstance(sources, (str, Path, Recording)):
        sources = [sources]
    listed_by_source = ([each] if isinstance(each, Recording) else files(Path(each)) for each in sources)
    return [item for items in listed_by_source for item in items]


def name_of(path: Path) -> str:
    """Return a path as text that any file can hold: bytes of it that are no UTF-8 are escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def files(path: Path) -> list[Path]:
    """List the files of a path: itself, or the videos and sound files in a folder and its subfolders.

    Raises:
        CfnsrError: see ``listed``.
    """
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises if the path is too long
        raise CfnsrError(path, "does not exist", "Give a video, a sound file, or a folder of these")
    if not path.is_dir():
        return [path]
    inside = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in MEDIA_SUFFIXES and file.is_file()]
    if not inside:
        raise CfnsrError(
            path, "has no video and no sound file", f"Give a folder with files of {', '.join(MEDIA_SUFFIXES)}"
        )
    return inside


class FileSource:
    """A file that is decoded once; see ``cfnsr.runtime.sources.Source``.

    Args:
        path: the file.

    Raises:
        CfnsrError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.timeline: Timeline = timeline_of_file(path)
        self._sounds: dict[int, _KeptSound] = {}
        self._frames = _KeptFrames(lambda indices: pyav.frames(path, self.timeline, indices))

    def expect(self, indices: list[int]) -> None:
        """Say beforehand, in ascending order, which frames will be asked for: the others need not be decoded."""
        self._frames.expected = indices

    def forget(self, index: int) -> None:
        """Say that no frame before this one will be asked for again."""
        self._frames.forget(index)

    def frames(self, indices: list[int]) -> Iterator[Frame]:
        """Yield the frames at ascending indices."""
        return map(self._frames.at, indices)

    def sound(self, stream: int, from_s: float) -> _Sound:
        """Yield decoded sound that does not end before a time."""
        if stream not in self._sounds:
            self._sounds[stream] = _KeptSound(lambda: audio.decoded(self._path, stream))
        return self._sounds[stream].since(from_s)


class _KeptFrames:
    """Decoded frames that are still needed.

    Attributes:
        expected: see ``FileSource.expect``.

    Args:
        decode: yields the frames at ascending indices.
    """

    def __init__(self, decode: Callable[[list[int]], Iterator[Frame]]) -> None:
        self.expected: list[int] = []
        self._decode = decode
        self._decoding: Iterator[tuple[int, Frame]] | None = None
        self._kept: dict[int, Frame] = {}
        self._last = -1
        self._error: CfnsrError | None = None

    def at(self, index: int) -> Frame:
        """Return a frame.

        Raises:
            CfnsrError: it cannot be decoded, or one before it.
        """
        if self._decoding is None:
            self._decoding = zip(self.expected, self._decode(self.expected), strict=False)
        try:
            while index not in self._kept and self._last < index and self._error is None:
                self._last, frame = next(self._decoding, (index, None))
                if frame is not None:
                    self._kept[self._last] = frame
        except CfnsrError as error:
            self._error = error
        if index in self._kept:
            return self._kept[index]
        if self._error is not None:
            raise self._error
        return next(self._decode([index]))  # it was not expected: slow, and correct

    def forget(self, index: int) -> None:
        """Forget the frames before this one."""
        self._kept = {number: frame for number, frame in self._kept.items() if number >= index}


class _KeptSound:
    """Decoded sound that is still needed.

    Args:
        decode: yields the whole stream, each frame with its time in seconds.
    """

    def __init__(self, decode: Callable[[], _Sound]) -> None:
        self._decode = decode
        self._decoding = decode()
        self._kept: deque[tuple[float, AudioFrame]] = deque()
        self._forgotten_s = -np.inf

    def since(self, from_s: float) -> _Sound:
        """Yield the frames that do not end before a time; earlier than the last time is slow, and correct."""
        if from_s < self._forgotten_s:
            self._decoding, self._forgotten_s = self._decode(), -np.inf
            self._kept.clear()
        while self._kept and self._forget(self._kept[0], from_s):
            self._kept.popleft()
        yield from list(self._kept)
        for item in self._decoding:
            if not self._forget(item, from_s):
                self._kept.append(item)
                yield item

    def _forget(self, item: tuple[float, AudioFrame], from_s: float) -> bool:
        time_s, frame = item
        end_s = time_s + frame.samples / frame.sample_rate
        if end_s < from_s:
            self._forgotten_s = max(self._forgotten_s, end_s)
        return end_s < from_s


class ArraySource:
    """A recording in memory; see ``cfnsr.runtime.sources.Source``.

    Args:
        recording: the recording.

    Raises:
        CfnsrError: it has neither pictures nor sound, or they are of another type or shape than it says.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        frames, samples = recording.frames, recording.samples
        count, heard = 0 if frames is None else len(frames), 0 if samples is None else len(samples)
        if not count and not heard:
            raise CfnsrError(recording.name, "has neither frames nor samples", "Give one of them")
        array_check.check(recording)
        self.timeline = Timeline(
            stream=0 if count else -1,
            pts=tuple(range(count)),
            tick_s=1 / recording.frame_rate_hz if count else 0.0,
            counted=True,
            start_s=0.0,
            origin_s=0.0,
            frame_rate_hz=recording.frame_rate_hz if count else 0.0,
            duration_s=count / recording.frame_rate_hz if count else heard / recording.rate_hz,
            lost_frames=0,
            tracks=((1, 0.0),) if heard else (),
            pixel_ratio=1.0,
            transfer="sdr",
        )

    def expect(self, indices: list[int]) -> None:
        """Do nothing: all frames are there."""

    def forget(self, index: int) -> None:
        """Do nothing: the frames are the caller's."""

    def frames(self, indices: list[int]) -> Iterator[Frame]:
        """Yield the frames at ascending indices."""
        assert self._recording.frames is not None
        return (Frame.of(self._recording.frames[index]) for index in indices)

    def sound(self, stream: int, from_s: float) -> _Sound:
        """Yield sound that does not end before a time."""
        samples, rate_hz = self._recording.samples, self._recording.rate_hz
        assert samples is not None
        for start in range(max(int(from_s * rate_hz), 0) // _PART * _PART, len(samples), _PART):
            part = np.ascontiguousarray(samples[None, start : start + _PART], np.float32)
            frame = AudioFrame.from_ndarray(part, "flt", "mono")
            frame.sample_rate = rate_hz
            yield start / rate_hz, frame
