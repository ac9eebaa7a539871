"""Synthesise a voice with espeak-ng from the espeakng-loader package, then apply level, tilt and tremor.

espeak-ng is under GPL-3. Users install it as a dependency; this repository contains none of its code.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import espeakng_loader
import numpy as np
from jaxtyping import Float, Float32, Int16

from cfnsr.corpora.studio.prepare.design import Voice
from cfnsr.corpora.studio.prepare.identity import Identity
from cfnsr.errors import CfnsrError

SENTENCES = ("Kids are talking by the door.", "Dogs are sitting by the door.")

_LOUDNESS_DB = -23.0  # of speech at level 0, relative to full scale
_TREMOR_HZ = 7.0


def speak(statement: int, person: Identity, voice: Voice, rate_hz: int) -> Float32[np.ndarray, " sample"]:
    """Synthesise one sentence.

    Args:
        statement: number of the sentence in ``SENTENCES``, from 1.
        person: the speaker.
        voice: of this clip.
        rate_hz: sampling rate of the result in Hz.
    """
    samples, source_hz = _synthesise(
        SENTENCES[statement - 1],
        person.variant,
        words_a_minute=int(np.clip(round(person.words_a_minute * voice.tempo), 90, 400)),
        pitch=int(np.clip(round(person.pitch + voice.pitch), 0, 99)),
        melody=int(np.clip(round(voice.melody), 0, 99)),
    )
    sound = _tilt(_resample(samples, source_hz, rate_hz), rate_hz, voice.tilt_db)
    time = np.arange(sound.size) / rate_hz
    sound *= 1 - np.clip(voice.tremor, 0, 1) * 0.5 * (1 + np.sin(2 * np.pi * _TREMOR_HZ * time))
    loudness = np.sqrt((sound**2).mean())
    gain = 10 ** ((_LOUDNESS_DB + person.level_db + voice.level_db) / 20) / loudness
    return np.clip(sound * gain, -0.98, 0.98).astype(np.float32)


def _synthesise(
    text: str, voice: str, *, words_a_minute: int, pitch: int, melody: int
) -> tuple[Int16[np.ndarray, " n"], int]:
    """Run espeak-ng; return its samples, and their rate in Hz."""
    script = Path(__file__).with_name("espeak.py")
    files = (espeakng_loader.get_library_path(), espeakng_loader.get_data_path())
    # -I -S: neither the working directory nor installed packages change its imports.
    process = subprocess.run(  # noqa: S603  this project's script, and no shell
        [sys.executable, "-I", "-S", script, *files, voice, str(words_a_minute), str(pitch), str(melody), text],
        capture_output=True,
    )
    if process.returncode != 0 or len(process.stdout) <= 4:
        problem = process.stderr.decode(errors="replace").strip() or f"exit status {process.returncode}"
        raise CfnsrError("espeak-ng", problem, "Run `make setup` again")
    return np.frombuffer(process.stdout, "<i2", offset=4), int.from_bytes(process.stdout[:4], "little")


def _resample(samples: Int16[np.ndarray, " sample"], source_hz: int, rate_hz: int) -> Float32[np.ndarray, " m"]:
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32) / 32768, "flt", "mono")
    frame.sample_rate = source_hz
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)
    return np.concatenate([part.to_ndarray()[0] for part in (*resampler.resample(frame), *resampler.resample(None))])


def _tilt(sound: Float32[np.ndarray, " m"], rate_hz: int, tilt_db: float) -> Float[np.ndarray, " m"]:
    """Change the level by ``tilt_db`` an octave above 500 Hz, four octaves at most."""
    spectrum = np.fft.rfft(sound)
    octaves = np.log2(np.clip(np.fft.rfftfreq(sound.size, 1 / rate_hz) / 500, 1, 16))
    return np.fft.irfft(spectrum * 10 ** (tilt_db * octaves / 20), sound.size)
