"""Make studio's clips: an animated portrait and a synthesised voice.

The face is a public-domain portrait by NASA from scikit-image; the voice is espeak-ng (GPL-3), installed as a
dependency.
"""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, Float64
from threadpoolctl import threadpool_limits

from cfnsr.corpora import filenames
from cfnsr.corpora.filenames import Take
from cfnsr.corpora.studio.prepare import acting, design, film, identity, openface, speech
from cfnsr.corpora.studio.prepare.portrait import Portrait
from cfnsr.runtime import parallel, progress

_CONFIDENCE = 0.98  # the points are exact, but OpenFace's confidence is never higher
_LEAD_S, _TAIL_S = (0.55, 0.75), 0.5  # silence before and after the sentence
_SHORTEST_S = 3.0


def prepare(
    actor: str,
    folder: Path,
    *,
    seed: int,
    statements: list[int],
    repetitions: int,
    intensities: list[str],
    width: int,
    height: int,
    frame_rate: str,
    rate_hz: int,
    face_noise: float,
    pose_noise: float,
    voice_noise: float,
    hiss_db: float,
    source: object,
    jobs: int,
    **encoding: Any,
) -> None:
    """Make one actor's clips and their landmarks; the same options make the same bytes.

    Args:
        actor: two digits; odd numbers are male.
        folder: where the mp4 and the CSV files go.
        seed: of the corpus.
        statements: which sentences are spoken, 1 and 2.
        repetitions: recordings of each sentence.
        intensities: ``normal``, ``strong``; there is no strong neutral.
        width, height: of the video in pixels.
        frame_rate: frames a second, as a fraction: ``30000/1001``.
        rate_hz: sampling rate of the sound.
        face_noise, voice_noise: how much clips of one emotion differ, see ``design``.
        pose_noise: how much the head moves, see ``acting``.
        hiss_db: level of the background noise in dB below full scale.
        source: not used, as nothing is fetched.
        jobs: clips at a time; 0 uses every core.
        encoding: ``crf``, ``x264_preset`` and ``b_frames`` of H.264, see ``film.write``.
    """
    person = identity.of(actor, seed)
    portrait = Portrait(person, width, height)
    rate = Fraction(frame_rate)

    def make(take: Take) -> None:
        stem = filenames.stem(take, actor)
        random = np.random.default_rng([seed, *map(int, stem.split("-"))])
        face = design.face(take.label, take.intensity, face_noise, random)
        voice = design.voice(take.label, take.intensity, voice_noise, random)
        sound = _add_silence(speech.speak(take.statement, person, voice, rate_hz), rate_hz, hiss_db, random)
        count = int(sound.size / rate_hz * rate)
        loudness = _loudness(sound, count, rate_hz, float(rate))
        points = acting.perform(portrait.points, portrait.eyes_px, face, loudness, float(rate), pose_noise, random)
        pictures = (portrait.pose(frame) for frame in points)
        size = {"width": width, "height": height}
        film.write(folder / f"{stem}.mp4", pictures, sound, frame_rate=rate, rate_hz=rate_hz, **size, **encoding)
        openface.write(folder / f"{stem}.csv", points, _CONFIDENCE, float(rate))

    takes = filenames.takes(statements, repetitions, intensities)
    # Threads are enough: warping and encoding release Python's lock. Each clip has one thread; more threads in OpenCV
    # and BLAS would only wait for each other.
    cv2.setNumThreads(1)
    with (
        threadpool_limits(1),
        progress.items() as bar,
        closing(parallel.run(make, takes, jobs=jobs, backend="threading", address="")) as clips,
    ):
        for _ in bar.track(clips, total=len(takes), description=actor):
            pass


def _add_silence(
    speech: Float32[np.ndarray, " n"], rate_hz: int, hiss_db: float, random: np.random.Generator
) -> Float32[np.ndarray, " sample"]:
    """Add silence before and after a sentence, and background noise."""
    lead, tail = round(random.uniform(*_LEAD_S) * rate_hz), round(_TAIL_S * rate_hz)
    length = max(lead + speech.size + tail, round(_SHORTEST_S * rate_hz))
    sound = random.normal(0, 10 ** (hiss_db / 20), length)
    sound[lead : lead + speech.size] += speech
    return np.clip(sound, -1, 1).astype(np.float32)


def _loudness(
    sound: Float32[np.ndarray, " sample"], count: int, rate_hz: int, frame_rate_hz: float
) -> Float64[np.ndarray, " frame"]:
    """Compute the loudness at each frame, as a share of the clip's maximum; the mouth follows it."""
    edges = np.round(np.arange(count + 1) / frame_rate_hz * rate_hz).astype(int)
    power = np.array([np.sqrt((sound[start:stop].astype(np.float64) ** 2).mean()) for start, stop in pairwise(edges)])
    quiet = np.percentile(power, 10)
    loudness = np.clip((power - 2 * quiet) / max(power.max() - 2 * quiet, 1e-9), 0, 1)
    return np.convolve(np.pad(loudness, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
