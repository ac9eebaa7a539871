"""Studio, the embedded corpus: an animated portrait that speaks, in files like those of RAVDESS.

A demonstration and a test bed: its figures show that the machinery works, and nothing about emotions. The face is a
public-domain portrait by NASA from scikit-image; the voice is espeak-ng (GPL-3), installed as a dependency.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from cfnsr.corpora import described, filenames
from cfnsr.corpora.clip import Clip
from cfnsr.corpora.filenames import LABELS
from cfnsr.corpora.studio import acting, design, film, identity, openface, speech
from cfnsr.corpora.studio.portrait import Portrait
from cfnsr.runtime import progress
from cfnsr.runtime.bad_clips import BadClips

if TYPE_CHECKING:
    from cfnsr.corpora.source import Source

_CONFIDENCE = 0.98  # the points are known, but OpenFace is never surer than this
_LEAD_S, _TAIL_S = (0.55, 0.75), 0.5  # silence before and after the sentence
_SHORTEST_S = 3.0


def labels(**_: object) -> list[str]:
    """The emotions, in the order of their class index."""
    return list(LABELS)


def expected(
    actor: str, *, statements: list[int], repetitions: int, intensities: list[str], **_: object
) -> Counter[str]:
    """How many clips of each emotion an actor has."""
    return Counter(label for label, *_ in _takes(statements, repetitions, intensities))


def clips(folder: Path, bad: BadClips) -> list[Clip]:
    """The clips of one actor's folder, described by their names."""
    return described(folder, bad, filenames.parse)


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
    crf: int,
    x264_preset: str,
    b_frames: int,
    rate_hz: int,
    face_noise: float,
    pose_noise: float,
    voice_noise: float,
    hiss_db: float,
    source: Source,
    jobs: int,
) -> None:
    """Make one actor's clips, and their landmarks beside them; the same options make the same bytes.

    Args:
        actor: the number; odd ones are male.
        folder: where the mp4 and the CSV files go.
        seed: of the corpus.
        statements: which sentences are spoken, 1 and 2.
        repetitions: takes of each.
        intensities: ``normal``, ``strong``; there is no strong neutral.
        width, height: of the video in pixels.
        frame_rate: frames a second, as a fraction: ``30000/1001``.
        crf, x264_preset, b_frames: of H.264, see ``film.write``.
        rate_hz: sampling rate of the sound.
        face_noise, voice_noise: how far clips of one emotion differ, see ``design``.
        pose_noise: how far the head drifts, see ``acting``.
        hiss_db: level of the background noise in dB below full scale.
        source: has no use here: nothing is fetched.
        jobs: clips at a time; 0 takes every core.
    """
    who = identity.of(actor, seed)
    portrait = Portrait(who, width, height)
    rate = Fraction(frame_rate)
    save = partial(
        film.write,
        width=width,
        height=height,
        frame_rate=rate,
        crf=crf,
        x264_preset=x264_preset,
        b_frames=b_frames,
        rate_hz=rate_hz,
    )

    def make(label: str, intensity: str, statement: int, repetition: int) -> None:
        name = filenames.name(label=label, intensity=intensity, statement=statement, repetition=repetition, actor=actor)
        random = np.random.default_rng([seed, *map(int, name.split("-"))])
        face = design.face(label, intensity, face_noise, random)
        voice = design.voice(label, intensity, voice_noise, random)
        sound = _recorded(speech.utter(statement, who, voice, rate_hz), rate_hz, hiss_db, random)
        count = int(sound.size / rate_hz * rate)
        loudness = _loudness(sound, count, rate_hz, float(rate))
        points = acting.perform(portrait.points, portrait.eyes_px, face, loudness, float(rate), pose_noise, random)
        save(folder / f"{name}.mp4", (portrait.posed(one) for one in points), sound)
        openface.write(folder / f"{name}.csv", points, _CONFIDENCE, float(rate))

    wanted = _takes(statements, repetitions, intensities)
    # Threads: warping and encoding release Python's lock, and a process would import all of this again. One clip is
    # one thread: OpenCV's and BLAS's own would only wait for each other.
    cv2.setNumThreads(1)
    with threadpool_limits(1):
        work = Parallel(n_jobs=jobs or -1, backend="threading", return_as="generator")
        with progress.bar(actor) as advance:
            for _ in work(delayed(make)(*one) for one in wanted):
                advance(len(wanted))


def _takes(statements: list[int], repetitions: int, intensities: list[str]) -> list[tuple[str, str, int, int]]:
    """Label, intensity, statement and repetition of each clip of an actor; there is no strong neutral."""
    return [
        (label, intensity, statement, repetition)
        for label in LABELS
        for intensity in intensities
        for statement in statements
        for repetition in range(1, repetitions + 1)
        if (label, intensity) != ("neutral", "strong")
    ]


def _recorded(spoken: np.ndarray, rate_hz: int, hiss_db: float, random: np.random.Generator) -> np.ndarray:
    """The sentence with silence around it, and the room's noise."""
    lead, tail = round(random.uniform(*_LEAD_S) * rate_hz), round(_TAIL_S * rate_hz)
    length = max(lead + spoken.size + tail, round(_SHORTEST_S * rate_hz))
    sound = random.normal(0, 10 ** (hiss_db / 20), length)
    sound[lead : lead + spoken.size] += spoken
    return np.clip(sound, -1, 1).astype(np.float32)


def _loudness(sound: np.ndarray, count: int, rate_hz: int, frame_rate_hz: float) -> np.ndarray:
    """The voice's envelope at each frame, 0 to 1 of the clip's own loudest: the mouth follows it."""
    edges = np.round(np.arange(count + 1) / frame_rate_hz * rate_hz).astype(int)
    power = np.array([np.sqrt((sound[start:stop].astype(np.float64) ** 2).mean()) for start, stop in pairwise(edges)])
    quiet = np.percentile(power, 10)
    open_ = np.clip((power - 2 * quiet) / max(power.max() - 2 * quiet, 1e-9), 0, 1)
    return np.convolve(np.pad(open_, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
