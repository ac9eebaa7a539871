"""Read a clip's audio and compute its features: log-mel and MFCC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import torch
from av import AudioFrame, AudioResampler
from jaxtyping import Float32
from torchaudio.functional import create_dct
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.container import decode_sound, open_media
from cfnsr.preprocessing.media import Timeline
from cfnsr.runtime import sources

_JITTER_S = 0.015  # by which the times of frames that follow each other may be off: containers round them
_MARGIN_S = 0.1  # of sound around a window, for the resampler's filter
_CANCELLED = 0.1  # loudness of a mix, as a share of its loudest channel, below which channels cancel each other
_WEIGHTS = {"FC": 1.0, "FL": 0.71, "FR": 0.71}


def sound(
    path: Path,
    timeline: Timeline,
    *,
    offset_s: float,
    window_s: float,
    rate_hz: int,
    track: int,
    min_sound: float,
    silence_db: float,
    end_s: float = inf,
    **analysis: Any,
) -> tuple[dict[str, np.ndarray], float]:
    """Compute the features of a window of a clip's audio.

    Args:
        path: the clip.
        timeline: of the clip.
        offset_s, window_s, end_s, rate_hz, track: see ``waveform``.
        min_sound: smallest share of the window, 0 to 1, in which the clip has sound, loud or not.
        silence_db: a clip whose log-mel stays below this level is silent.
        analysis: see ``features``.

    Returns:
        The features by array name, and the seconds of silence in place of missing sound.

    Raises:
        CfnsrError: see ``waveform``; or the clip has too little sound, or is silent.
    """
    samples, padded_s = waveform(
        path, timeline, offset_s=offset_s, window_s=window_s, end_s=end_s, rate_hz=rate_hz, track=track
    )
    if padded_s > (1 - min_sound) * window_s:
        problem = f"only {window_s - padded_s:.2f} s of the window's {window_s} s have sound"
        raise CfnsrError(path, problem, "Remove the clip, shorten extract.window_s, or lower extract.audio.min_sound")
    arrays = features(samples, rate_hz=rate_hz, **analysis)
    loudest = arrays["mel"].max()
    if arrays["mel"].min() == loudest:
        raise CfnsrError(path, "its sound is constant (silent)", "Fetch the clip again, or remove it")
    if loudest < silence_db:
        problem = f"is silent: its loudest is {loudest:.0f} dB, under extract.audio.silence_db = {silence_db}"
        raise CfnsrError(path, problem, "Remove the clip, or lower the threshold")
    return arrays, padded_s


def waveform(
    path: Path,
    timeline: Timeline,
    *,
    rate_hz: int,
    offset_s: float,
    window_s: float,
    end_s: float = inf,
    track: int = 1,
) -> tuple[Float32[np.ndarray, " sample"], float]:
    """Read a window of a clip's audio as mono, on the clock of its picture.

    Args:
        path: the clip.
        timeline: of the clip.
        rate_hz: sampling rate of the result in Hz.
        offset_s: start of the window in seconds.
        window_s: length of the window in seconds.
        end_s: what the file has from here on is not the clip's, in seconds.
        track: of sound, from 1, the best first.

    Returns:
        The samples, -1 to 1 unless channels add up to more, and the seconds of silence in place of missing sound.

    Raises:
        CfnsrError: the file cannot be read, it has no such track, or there is no sound within the window.
    """
    if not timeline.tracks:
        raise CfnsrError(path, "has no audio stream that can be decoded", "Remove the clip, or fetch it again")
    if track > len(timeline.tracks):
        problem = f"has {len(timeline.tracks)} tracks of sound, where extract.audio.track is {track}"
        raise CfnsrError(path, problem, "Lower it, or remove the clip")
    start_s, heard_s = timeline.origin_s + offset_s, max(min(window_s, end_s - offset_s), 0.0)
    length = round(heard_s * rate_hz)
    samples, known = (np.zeros(round(window_s * rate_hz), kind) for kind in (np.float32, bool))
    for run in _runs(path, timeline.tracks[track - 1][0], start_s, start_s + heard_s):
        first = round((run.start_s - start_s) * rate_hz)
        mono = run.mono(rate_hz)[max(-first, 0) : max(length - first, 0)]
        window = slice(max(first, 0), max(first, 0) + mono.size)
        samples[window], known[window] = mono, True
    if not known.any():
        problem = f"has no sound between {offset_s} s and {min(offset_s + window_s, end_s)} s, the window"
        raise CfnsrError(path, problem, "Remove the clip, or change extract.offset_s")
    return samples, float((~known).sum() / rate_hz)


@dataclass
class _Run:
    """Decoded sound without a gap, of one layout and one rate.

    Attributes:
        start_s, end_s: on the file's clock, in seconds.
        frames: as decoded.
    """

    start_s: float
    end_s: float
    frames: list[AudioFrame] = field(default_factory=list)

    def goes_on_with(self, frame: AudioFrame, time_s: float) -> bool:
        """Return whether a frame follows without a gap, in the same format."""
        last = self.frames[-1]
        same = (frame.layout.name, frame.sample_rate, frame.format.name) == (
            last.layout.name,
            last.sample_rate,
            last.format.name,
        )
        return same and abs(time_s - self.end_s) < _JITTER_S

    def mono(self, rate_hz: int) -> Float32[np.ndarray, " sample"]:
        """Resample, and mix the channels."""
        # Packed samples, because PyAV cannot read more than eight planes.
        resampler = AudioResampler(format="flt", rate=rate_hz)
        channels = [channel.name for channel in self.frames[0].layout.channels]
        parts = [part.to_ndarray() for frame in [*self.frames, None] for part in resampler.resample(frame)]
        return mix(np.concatenate(parts, axis=1).reshape(-1, len(channels)), channels)


def _runs(path: Path, index: int, start_s: float, end_s: float) -> Iterator[_Run]:
    """Decode a stream from ``start_s`` to ``end_s`` on the file's clock, and a little more; break it at gaps."""
    run: _Run | None = None
    source = sources.of(path)
    for time_s, frame in decoded(path, index) if source is None else source.sound(index, start_s - _MARGIN_S):
        length_s = frame.samples / frame.sample_rate
        if time_s > end_s + _MARGIN_S:
            break
        if time_s + length_s < start_s - _MARGIN_S:
            continue
        if run is None or not run.goes_on_with(frame, time_s):
            if run is not None:
                yield run
            run = _Run(time_s, time_s)
        run.frames.append(frame)
        run.end_s += length_s
    if run is not None:
        yield run


def decoded(path: Path, index: int) -> Iterator[tuple[float, AudioFrame]]:
    """Decode a stream of sound; yield each frame with its time on the file's clock, in seconds."""
    end_s = 0.0
    with open_media(path) as container:
        for packet in container.demux(container.streams[index]):
            for frame in decode_sound(packet):
                start_s = end_s if frame.time is None else frame.time
                yield start_s, frame
                end_s = start_s + frame.samples / frame.sample_rate


def mix(samples: Float32[np.ndarray, "sample channel"], channels: list[str]) -> Float32[np.ndarray, " sample"]:
    """Mix channels to mono as players do, so that stereo is as loud as mono.

    The mean of the channels; where there is a centre, it is taken whole, the front at 0.71 and the others at 0.5. The
    channel of low frequencies is left out. Where channels cancel each other, the loudest one is taken.

    Args:
        samples: -1 to 1.
        channels: libav's names of the channels, as ``FL``.
    """
    used = [number for number, name in enumerate(channels) if name not in ("LFE", "LFE2")] or [0]
    if "FC" in channels and len(channels) > 1:
        weights = np.array([_WEIGHTS.get(channels[number], 0.5) for number in used], np.float32)
    else:
        weights = np.full(len(used), 1 / len(used), np.float32)
    mono = samples[:, used] @ weights
    loudness = np.sqrt(np.square(samples[:, used], dtype=np.float64).mean(axis=0))
    if np.sqrt(np.square(mono, dtype=np.float64).mean()) < _CANCELLED * loudness.max():
        return samples[:, used[int(loudness.argmax())]]
    return mono


def features(
    samples: Float32[np.ndarray, " sample"],
    *,
    rate_hz: int,
    n_fft: int,
    hop: int,
    mels: int,
    coefficients: int,
    top_db: float,
) -> dict[str, np.ndarray]:
    """Compute the log-mel spectrogram in dB and the MFCCs, equal to librosa's defaults.

    Slaney mel scale and norm, Hann window, centred frames padded with zeros, power to dB with reference 1,
    orthonormal DCT-II.

    Args:
        samples: mono, -1 to 1.
        rate_hz: their rate in Hz.
        n_fft: samples in each Fourier transform.
        hop: samples from one frame to the next.
        mels: mel bands.
        coefficients: number of MFCCs.
        top_db: the log-mel is cut this many dB below its maximum.

    Returns:
        By array name: ``mel``, "mel step", and ``mfcc``, "coefficient step", both float32.
    """
    mel, to_db, dct = _transforms(rate_hz, n_fft, hop, mels, coefficients, top_db)
    with torch.inference_mode():
        log_mel = to_db(mel(torch.from_numpy(samples)))
        mfcc = dct.T @ log_mel
    return {"mel": log_mel.numpy(), "mfcc": mfcc.numpy()}


@cache
def _transforms(
    rate_hz: int, n_fft: int, hop: int, mels: int, coefficients: int, top_db: float
) -> tuple[MelSpectrogram, AmplitudeToDB, torch.Tensor]:
    mel = MelSpectrogram(
        rate_hz, n_fft, hop_length=hop, n_mels=mels, pad_mode="constant", norm="slaney", mel_scale="slaney"
    )
    return mel, AmplitudeToDB("power", top_db=top_db), create_dct(coefficients, mels, norm="ortho")
