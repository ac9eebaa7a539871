"""Move a clip's 68 points: expression, speech, blinks and movements of the head."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from cfnsr.corpora.studio.prepare.design import Face

Points = Float64[np.ndarray, "point 2"]

_ONSET_S, _RISE_S = 0.15, 0.35  # start of the expression, and the time until it is complete
_BLINK_S = 0.20
_SHUT = 0.75  # how far a blink shuts the eye: lids that meet would fold the spline and smear the brow
_JAW_OPEN = 0.20  # of the distance between the eyes, at the loudest syllable

# Corners of the mouth and their neighbours: point, side, share of the smile.
_CORNERS = (
    (48, -1, 1),
    (54, 1, 1),
    (60, -1, 0.8),
    (64, 1, 0.8),
    (49, -1, 0.5),
    (53, 1, 0.5),
    (59, -1, 0.6),
    (55, 1, 0.6),
)
# Points that move down with the jaw, and their shares.
_JAW = {55: 0.6, 56: 0.9, 57: 1, 58: 0.9, 59: 0.6, 65: 1, 66: 1, 67: 1, 48: 0.25, 54: 0.25, 60: 0.25, 64: 0.25}


def perform(
    rest: Points,
    eyes_px: float,
    face: Face,
    loudness: Float64[np.ndarray, " frame"],
    frame_rate_hz: float,
    pose_noise: float,
    random: np.random.Generator,
) -> Float64[np.ndarray, "frame 68 2"]:
    """Compute the points in each frame of a clip.

    Args:
        rest: the 68 points at rest, pixels.
        eyes_px: distance between the eyes.
        face: the complete expression.
        loudness: of the voice at each frame, 0 to 1.
        frame_rate_hz: frames a second.
        pose_noise: how much the head moves; 1 is about two degrees, and a fourteenth of ``eyes_px``.
        random: generator of blinks and of the head's movement.
    """
    count = len(loudness)
    time = np.arange(count) / frame_rate_hz
    shown = _smoothstep((time - _ONSET_S) / _RISE_S) * (1 + 0.08 * _drift(count, frame_rate_hz, random))
    blinks = _blinks(time, random)
    drift = np.stack([_drift(count, frame_rate_hz, random) for _ in range(4)], axis=1) * pose_noise
    return np.stack(
        [
            _move(
                _express(rest, eyes_px, face, shown[now], loudness[now], blinks[now]),
                shift=drift[now, :2] * 0.07 * eyes_px,
                roll=0.03 * drift[now, 2],
                zoom=1 + 0.012 * drift[now, 3],
            )
            for now in range(count)
        ]
    )


def _express(rest: Points, eyes_px: float, face: Face, shown: float, loudness: float, blink: float) -> Points:
    """Move the points by a share ``shown`` of the expression, by speech of a loudness, and by a blink."""
    points = rest.copy()
    smile, brows, inner, frown = (value * shown * eyes_px for value in (face.smile, face.brows, face.inner, face.frown))
    down = (max(face.open * shown, 0) + _JAW_OPEN * loudness) * eyes_px
    for corner, side, share in _CORNERS:
        points[corner] += share * smile * np.array([0.45 * side, -0.65])  # y points down
    # Lower lip and jaw drop together, the chin most.
    for point, share in _JAW.items():
        points[point, 1] += share * down
    points[:17, 1] += 0.8 * down * np.exp(-(((np.arange(17) - 8) / 3.2) ** 2))
    points[17:27, 1] -= brows
    for point, share in ((21, 1), (22, 1), (20, 0.6), (23, 0.6), (19, 0.2), (24, 0.2)):
        points[point, 1] -= share * inner
        points[point] += share * frown * np.array([0.5 if point <= 21 else -0.5, 0.7])
    # Lids: the expression opens them, a blink closes them.
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        points[[upper, lower], 1] += np.array([-0.7, 0.3]) * face.lids * shown * eyes_px
        shut = 0.3 * points[upper] + 0.7 * points[lower]
        points[upper] += blink * (shut - points[upper])
        points[lower] += 0.5 * blink * (shut - points[lower])
    return points


def _move(points: Points, *, shift: np.ndarray, roll: float, zoom: float) -> Points:
    """Rotate (radians) and scale the points about their mean, then shift them (pixels)."""
    middle = points.mean(axis=0)
    turn = zoom * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return (points - middle) @ turn.T + middle + shift


def _blinks(time: np.ndarray, random: np.random.Generator) -> Float64[np.ndarray, " frame"]:
    """Draw one or two blinks: how far the eyes are shut in each frame, 0 to ``_SHUT``."""
    moments = random.uniform(0.2, max(time[-1], 0.3), size=random.integers(1, 3))
    shut = np.max([np.clip(1 - np.abs(time - moment) / (_BLINK_S / 2), 0, 1) for moment in moments], axis=0)
    return _SHUT * shut


def _drift(count: int, frame_rate_hz: float, random: np.random.Generator) -> Float64[np.ndarray, " frame"]:
    """Draw a smooth random curve of about unit size."""
    time = np.arange(count) / frame_rate_hz
    waves = zip(random.uniform(0.15, 0.9, 4), random.uniform(0, 2 * np.pi, 4), random.normal(0, 0.7, 4), strict=True)
    return np.sum([size * np.sin(2 * np.pi * rate * time + phase) for rate, phase, size in waves], axis=0)


def _smoothstep(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)
