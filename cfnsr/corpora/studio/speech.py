"""The voice: espeak-ng by way of the espeakng-loader wheel, then level, tilt and tremor.

espeak-ng is GPL-3. It is a dependency that users install; no code of it is here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import espeakng_loader
import numpy as np
from jaxtyping import Float, Float32, Int16

from cfnsr.corpora.studio.design import Voice
from cfnsr.corpora.studio.identity import Identity
from cfnsr.errors import CfnsrError

SENTENCES = ("Kids are talking by the door.", "Dogs are sitting by the door.")

_LOUDNESS_DB = -23.0  # of speech at level 0, below full scale
_TREMOR_HZ = 7.0


def utter(statement: int, who: Identity, how: Voice, rate_hz: int) -> Float32[np.ndarray, " sample"]:
    """One sentence, spoken.

    Args:
        statement: which of ``SENTENCES``, from 1.
        who: the speaker.
        how: the voice of this clip.
        rate_hz: sampling rate of the result in Hz.
    """
    spoken, source_hz = _said(
        SENTENCES[statement - 1],
        who.variant,
        words_a_minute=int(np.clip(round(who.words_a_minute * how.tempo), 90, 400)),
        pitch=int(np.clip(round(who.pitch + how.pitch), 0, 99)),
        melody=int(np.clip(round(how.melody), 0, 99)),
    )
    sound = _tilted(_resampled(spoken, source_hz, rate_hz), rate_hz, how.tilt_db)
    time = np.arange(sound.size) / rate_hz
    sound *= 1 - np.clip(how.tremor, 0, 1) * 0.5 * (1 + np.sin(2 * np.pi * _TREMOR_HZ * time))
    loudness = np.sqrt((sound**2).mean())
    gain = 10 ** ((_LOUDNESS_DB + who.level_db + how.level_db) / 20) / loudness
    return np.clip(sound * gain, -0.98, 0.98).astype(np.float32)


def _said(
    text: str, voice: str, *, words_a_minute: int, pitch: int, melody: int
) -> tuple[Int16[np.ndarray, " n"], int]:
    """The synthesiser's samples, and their rate in Hz."""
    script = Path(__file__).with_name("espeak.py")
    # -I -S: neither the folder it starts in nor installed packages can change what it imports.
    done = subprocess.run(  # noqa: S603 - our own script, and no shell
        [
            sys.executable,
            "-I",
            "-S",
            script,
            espeakng_loader.get_library_path(),
            espeakng_loader.get_data_path(),
            voice,
            str(words_a_minute),
            str(pitch),
            str(melody),
            text,
        ],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0 or len(done.stdout) <= 4:
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise CfnsrError("espeak-ng", said, "Run `make setup` again")
    return np.frombuffer(done.stdout, "<i2", offset=4), int.from_bytes(done.stdout[:4], "little")


def _resampled(samples: Int16[np.ndarray, " sample"], source_hz: int, rate_hz: int) -> Float32[np.ndarray, " m"]:
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32) / 32768, "flt", "mono")
    frame.sample_rate = source_hz
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)
    return np.concatenate([part.to_ndarray()[0] for part in (*resampler.resample(frame), *resampler.resample(None))])


def _tilted(sound: Float32[np.ndarray, " m"], rate_hz: int, tilt_db: float) -> Float[np.ndarray, " m"]:
    """Change the level by ``tilt_db`` an octave above 500 Hz, four octaves at most."""
    spectrum = np.fft.rfft(sound)
    octaves = np.log2(np.clip(np.fft.rfftfreq(sound.size, 1 / rate_hz) / 500, 1, 16))
    return np.fft.irfft(spectrum * 10 ** (tilt_db * octaves / 20), sound.size)
