"""Speak one sentence with espeak-ng, in a separate process.

``espeak.py LIBRARY DATA VOICE WORDS_A_MINUTE PITCH MELODY TEXT``

Write the sampling rate in Hz as a little-endian 32-bit number, and then 16-bit samples. Each sentence needs a new
process because the library keeps a state that no call resets: in one process the same sentence gives different bytes
the second time. Only the standard library is imported, which keeps the start short.
"""

from __future__ import annotations

import ctypes
import struct
import sys

_SYNCHRONOUS = 2
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_UTF8, _END_PAUSE = 1, 0x1000
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def main(library: str, data: str, voice: str, words_a_minute: str, pitch: str, melody: str, text: str) -> None:
    """Write a sentence's rate and samples to stdout."""
    espeak = ctypes.CDLL(library)
    rate_hz = espeak.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), 0)
    if rate_hz <= 0:
        sys.exit(f"espeak-ng does not start with the data in {data}")
    # espeak_Initialize seeds the noise of breathy voices from the clock.
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))
    samples = bytearray()

    @_CALLBACK
    def add_samples(block, count, _events):
        if block and count > 0:
            samples.extend(ctypes.string_at(block, 2 * count))
        return 0

    espeak.espeak_SetSynthCallback(add_samples)
    if espeak.espeak_SetVoiceByName(voice.encode()) != 0:
        sys.exit(f"espeak-ng has no voice {voice}")
    for parameter, value in ((_RATE, words_a_minute), (_VOLUME, 100), (_PITCH, pitch), (_RANGE, melody)):
        espeak.espeak_SetParameter(parameter, int(value), 0)
    words = text.encode() + b"\0"
    espeak.espeak_Synth(words, len(words), 0, 1, 0, _UTF8 | _END_PAUSE, None, None)
    espeak.espeak_Synchronize()
    sys.stdout.buffer.write(struct.pack("<i", rate_hz) + samples)


if __name__ == "__main__":
    main(*sys.argv[1:])
