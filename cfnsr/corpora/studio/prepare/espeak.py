"""Speak one sentence with espeak-ng, as a process of its own.

``espeak.py LIBRARY DATA VOICE WORDS_A_MINUTE PITCH MELODY TEXT``

Writes the sampling rate in Hz as a little-endian 32-bit number and then 16-bit samples. A process for each sentence,
because the library keeps a state that no call of its own resets: within one process the same sentence is never spoken
twice with the same bytes. It imports the standard library alone, so that it starts in a moment.
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
    espeak = ctypes.CDLL(library)
    rate_hz = espeak.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), 0)
    if rate_hz <= 0:
        sys.exit(f"espeak-ng does not start with the data in {data}")
    # Starting seeds the noise of breathy voices from the clock.
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))
    samples = bytearray()

    @_CALLBACK
    def take(block, count, _events):
        if block and count > 0:
            samples.extend(ctypes.string_at(block, 2 * count))
        return 0

    espeak.espeak_SetSynthCallback(take)
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
