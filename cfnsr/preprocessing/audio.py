"""Read a clip's sound and compute its features: log-mel and MFCC."""

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
    """Compute the features of a window of a clip's sound.

    Args:
        path: the clip.
        rate_hz: sampling rate in Hz.
        offset_s: start of the window in seconds.
        window_s: length of the window in seconds.
        silence_db: a clip whose loudest log-mel value is below is silent.
        analysis: see ``features``.

    Returns:
        The features by array name, and how many seconds of silence were appended because the sound ended before.

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
    """Read the mono sound of a window of a clip.

    Args:
        path: the clip.
        rate_hz: sampling rate of the result in Hz.
        offset_s: start of the window in seconds.
        window_s: length of the window in seconds.

    Returns:
        The samples, -1 to 1, and how many seconds of silence were appended because the sound ended before.

    Raises:
        CfnsrError: the file cannot be read, or has no sound in the window.
    """
    start, length = round(offset_s * rate_hz), round(window_s * rate_hz)
    parts: list[np.ndarray] = []
    have = 0
    with open_media(path) as container:
        if not container.streams.audio:
            raise CfnsrError(path, "has no audio stream", "Remove the clip, or fetch it again")
        resampler = AudioResampler(format="fltp", rate=rate_hz)
        for frame in container.decode(container.streams.audio[0]):
            for part in resampler.resample(frame):
                parts.append(_mono(part))
                have += parts[-1].size
            if have >= start + length:
                break
        else:  # the sound ended: take what the resampler still holds
            parts += [_mono(part) for part in resampler.resample(None)]
    samples = np.concatenate(parts)[start : start + length] if parts else np.empty(0, np.float32)
    if not samples.size:
        raise CfnsrError(
            path,
            f"the sound ends before {offset_s} s, where the window starts",
            "Remove the clip, or lower extract.audio.offset_s",
        )
    missing = length - samples.size
    return np.pad(samples, (0, missing)).astype(np.float32), missing / rate_hz


def _mono(frame: AudioFrame) -> Float32[np.ndarray, " sample"]:
    """Average the channels, as librosa does; libav's own mixing would make stereo 3 dB louder than mono."""
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
    """Compute log-mel spectrogram in dB and MFCC, equal to librosa's defaults.

    Slaney mel scale and norm, Hann window, frames centred with zeros beyond the ends, power to dB with
    reference 1, orthonormal DCT-II.

    Args:
        samples: mono, -1 to 1.
        rate_hz: their rate in Hz.
        n_fft: samples of an analysis frame.
        hop: samples between two frames.
        mels: mel bands.
        coefficients: cepstral coefficients kept.
        top_db: dB below the loudest value at which the log-mel is cut.

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
        sample_rate=rate_hz,
        n_fft=n_fft,
        hop_length=hop,
        n_mels=mels,
        power=2.0,
        center=True,
        pad_mode="constant",
        norm="slaney",
        mel_scale="slaney",
    )
    return mel, AmplitudeToDB("power", top_db=top_db), create_dct(coefficients, mels, norm="ortho")
