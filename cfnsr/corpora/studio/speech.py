"""The voice: espeak-ng by way of the espeakng-loader wheel, then level, tilt and tremor.

espeak-ng is GPL-3. It is a dependency that users install; no code of it is here.
"""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from typing import Any

import av
import espeakng_loader
import numpy as np
from jaxtyping import Float32, Int16

from cfnsr.corpora.studio.design import Voice
from cfnsr.corpora.studio.identity import Identity
from cfnsr.errors import CfnsrError

SENTENCES = ("Kids are talking by the door.", "Dogs are sitting by the door.")

_SYNCHRONOUS = 2
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_UTF8, _END_PAUSE = 1, 0x1000
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_ONE_AT_A_TIME = threading.Lock()  # the library keeps its state in globals
_LOUDNESS_DB = -23.0  # of speech at level 0, below full scale


class _Synthesiser:
    def __init__(self) -> None:
        self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.rate_hz = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0))
        if self.rate_hz <= 0:
            raise CfnsrError("espeak-ng", "does not start", "Install espeakng-loader again")
        self._pieces: list[np.ndarray] = []
        self._callback = _CALLBACK(self._take)  # kept: the library holds a bare pointer to it
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, text: str, voice: str, *, words_a_minute: int, pitch: int, melody: int) -> Int16[np.ndarray, " sample"]:
        self._pieces = []
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise CfnsrError("espeak-ng", f"has no voice {voice!r}", "Install espeakng-loader again")
        for parameter, value in ((_RATE, words_a_minute), (_VOLUME, 100), (_PITCH, pitch), (_RANGE, melody)):
            self._library.espeak_SetParameter(parameter, value, 0)
        words = text.encode() + b"\0"
        self._library.espeak_Synth(words, len(words), 0, 1, 0, _UTF8 | _END_PAUSE, None, None)
        self._library.espeak_Synchronize()
        return np.concatenate(self._pieces)


@cache
def _synthesiser() -> _Synthesiser:
    return _Synthesiser()


def utter(statement: int, who: Identity, how: Voice, rate_hz: int) -> Float32[np.ndarray, " sample"]:
    """One sentence, spoken.

    Args:
        statement: which of ``SENTENCES``, from 1.
        who: the speaker.
        how: the voice of this clip.
        rate_hz: sampling rate of the result in Hz.
    """
    with _ONE_AT_A_TIME:
        machine = _synthesiser()
        spoken = machine.say(
            SENTENCES[statement - 1], who.variant,
            words_a_minute=int(np.clip(round(who.words_a_minute * how.tempo), 90, 400)),
            pitch=int(np.clip(round(who.pitch + how.pitch), 0, 99)), melody=int(np.clip(round(how.melody), 0, 99)),
        )  # fmt: skip
        source_hz = machine.rate_hz
    sound = _tilted(_resampled(spoken, source_hz, rate_hz), rate_hz, how.tilt_db)
    time = np.arange(sound.size) / rate_hz
    sound *= 1 - np.clip(how.tremor, 0, 1) * 0.5 * (1 + np.sin(2 * np.pi * 7 * time))
    loudness = np.sqrt((sound**2).mean())
    gain = 10 ** ((_LOUDNESS_DB + who.level_db + how.level_db) / 20) / loudness
    return np.clip(sound * gain, -0.98, 0.98).astype(np.float32)


def _resampled(samples: Int16[np.ndarray, " sample"], source_hz: int, rate_hz: int) -> Float32[np.ndarray, " more"]:
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32) / 32768, "flt", "mono")
    frame.sample_rate = source_hz
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)
    return np.concatenate([part.to_ndarray()[0] for part in (*resampler.resample(frame), *resampler.resample(None))])


def _tilted(sound: Float32[np.ndarray, " sample"], rate_hz: int, tilt_db: float) -> np.ndarray:
    """Change the level by ``tilt_db`` an octave above 500 Hz, four octaves at most."""
    spectrum = np.fft.rfft(sound)
    octaves = np.log2(np.clip(np.fft.rfftfreq(sound.size, 1 / rate_hz) / 500, 1, 16))
    return np.fft.irfft(spectrum * 10 ** (tilt_db * octaves / 20), sound.size)
