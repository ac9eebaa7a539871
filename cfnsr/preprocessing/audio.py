"""Read a clip's audio and compute its features: log-mel and MFCC."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from av import AudioFrame, AudioResampler
from jaxtyping import Float32
from torchaudio.functional import create_dct
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.video import open_media


def sound(
    path: Path, *, rate_hz: int, offset_s: float, window_s: float, silence_db: float, **analysis: Any
) -> tuple[dict[str, np.ndarray], float]:
    """Compute the features of a window of a clip's audio.

    Args:
        path: the clip.
        rate_hz: sampling rate in Hz.
        offset_s: start of the window in seconds.
        window_s: length of the window in seconds.
        silence_db: a clip whose log-mel stays below this level is silent.
        analysis: see ``features``.

    Returns:
        The features by array name, and the seconds of silence that were appended because the audio ended early.

    Raises:
        CfnsrError: see ``waveform``; or the clip is silent.
    """
    samples, padded_s = waveform(path, rate_hz=rate_hz, offset_s=offset_s, window_s=window_s)
    arrays = features(samples, rate_hz=rate_hz, **analysis)
    loudest = arrays["mel"].max()
    if arrays["mel"].min() == loudest:
        raise CfnsrError(path, "its sound is constant (silent)", "Fetch the clip again, or remove it")
    if loudest < silence_db:
        problem = f"is silent: its loudest is {loudest:.0f} dB, under extract.audio.silence_db = {silence_db}"
        raise CfnsrError(path, problem, "Remove the clip, or lower the threshold")
    return arrays, padded_s


def waveform(
    path: Path, *, rate_hz: int, offset_s: float, window_s: float
) -> tuple[Float32[np.ndarray, " sample"], float]:
    """Read a window of a clip's audio as mono.

    Args:
        path: the clip.
        rate_hz: sampling rate of the result in Hz.
        offset_s: start of the window in seconds.
        window_s: length of the window in seconds.

    Returns:
        The samples, -1 to 1, and the seconds of silence that were appended because the audio ended early.

    Raises:
        CfnsrError: the file cannot be read, or its audio ends before the window.
    """
    start, length = round(offset_s * rate_hz), round(window_s * rate_hz)
    parts: list[np.ndarray] = []
    decoded = 0
    with open_media(path) as container:
        if not container.streams.audio:
            raise CfnsrError(path, "has no audio stream", "Remove the clip, or fetch it again")
        resampler = AudioResampler(format="fltp", rate=rate_hz)
        for frame in container.decode(container.streams.audio[0]):
            for part in resampler.resample(frame):
                parts.append(_mono(part))
                decoded += parts[-1].size
            if decoded >= start + length:
                break
        else:  # the audio has ended: take what is left in the resampler
            parts += [_mono(part) for part in resampler.resample(None)]
    samples = np.concatenate(parts)[start : start + length] if parts else np.empty(0, np.float32)
    if not samples.size:
        problem = f"the sound ends before {offset_s} s, where the window starts"
        raise CfnsrError(path, problem, "Remove the clip, or lower extract.audio.offset_s")
    missing = length - samples.size
    return np.pad(samples, (0, missing)).astype(np.float32), missing / rate_hz


def _mono(frame: AudioFrame) -> Float32[np.ndarray, " sample"]:
    """Average the channels, as librosa does; libav's mixing would make stereo 3 dB louder than mono."""
    return frame.to_ndarray().mean(axis=0)


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
