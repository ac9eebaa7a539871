"""SVG paths of predictions over time, in the coordinates of drawings that the page stretches to its width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from cfnsr.inference.table import FACE, FUSED, VOICE, Row
from cfnsr.inference.voice_activity import Levels

WIDTH, HEIGHT = 2000, 100  # SVG units of a drawing, whatever its size on the page
_MAX_TICKS = 6
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000)
_MARKS = {"face": "no face", "voice": "no voice"}


@dataclass(frozen=True)
class Band:
    """One emotion over time, as paths.

    Attributes:
        label: of the emotion.
        shares: area under its probability.
        answers: the part of the area where it is the most probable emotion.
        face, voice: lines of its probability from each modality alone; empty if the model does not compute it.
    """

    label: str
    shares: str
    answers: str
    face: str
    voice: str


@dataclass(frozen=True)
class Marks:
    """The times at which a condition holds, such as a missing face: starts and widths in SVG units."""

    label: str
    spans: list[tuple[int, int]]


def bands(rows: Sequence[Row], labels: Sequence[str], duration_s: float) -> list[Band]:
    """Return the paths of all emotions.

    Args:
        rows: of one person, in order of time.
        labels: the emotions.
        duration_s: of the recording, in seconds.
    """
    spans = _spans(rows, duration_s)
    values = [row.values(labels) for row in rows]
    own = {prefix: _has_own(values, labels, prefix) for prefix in (FACE, VOICE)}
    return [
        Band(
            label,
            _area(spans, [of_row[f"{FUSED}{label}"] for of_row in values]),
            _area(spans, [of_row[f"{FUSED}{label}"] if of_row["emotion"] == label else np.nan for of_row in values]),
            *(
                _line(spans, [of_row[f"{prefix}{label}"] for of_row in values]) if own[prefix] else ""
                for prefix in (FACE, VOICE)
            ),
        )
        for label in labels
    ]


def marks(rows: Sequence[Row], duration_s: float) -> list[Marks]:
    """Return where a face or a voice is missing, and where windows are far from the training clips.

    Args:
        rows: see ``bands``.
        duration_s: of the recording.
    """
    spans = _spans(rows, duration_s)
    holding = {text: [name in row.missing for row in rows] for name, text in _MARKS.items()}
    holding["far"] = [row.is_far for row in rows]
    return [
        Marks(text, [(start, end - start) for (start, end), holds in zip(spans, of_rows, strict=True) if holds])
        for text, of_rows in holding.items()
        if any(of_rows)
    ]


def waveform(levels: Levels) -> str:
    """Return the area of the sound's levels (0 to 1), relative to the loudest; empty without sound."""
    if not levels.size or not levels.max():
        return ""
    heights = (levels / levels.max() * HEIGHT / 2).round(1)
    x = np.linspace(0, WIDTH, len(levels)).round().astype(int)
    above = [f"{of_x} {HEIGHT / 2 - height:g}" for of_x, height in zip(x, heights, strict=True)]
    below = [f"{of_x} {HEIGHT / 2 + height:g}" for of_x, height in zip(x, heights, strict=True)]
    return f"M{'L'.join([*above, *below[::-1]])}Z"


def ticks(duration_s: float) -> list[tuple[float, str]]:
    """Return the ticks of the time axis: position in percent of the width, and the time as text."""
    step_s = next((step_s for step_s in _STEPS_S if duration_s / step_s <= _MAX_TICKS), _STEPS_S[-1])
    count = int(duration_s / step_s) + 1
    return [(100 * number * step_s / duration_s, clock(number * step_s, duration_s)) for number in range(count)]


def clock(time_s: float, duration_s: float) -> str:
    """Write a time: seconds in recordings of less than a minute, else minutes and seconds."""
    if duration_s < 60:
        return f"{round(time_s, 1):g} s"
    minutes, seconds = divmod(round(time_s, 1), 60)
    return f"{int(minutes)}:{seconds:04.1f}".removesuffix(".0")


def _has_own(values: Sequence[dict[str, Any]], labels: Sequence[str], prefix: str) -> bool:
    """Return whether a modality's probabilities differ from those of the whole model in any row."""
    return any(
        share == share and share != of_row[f"{FUSED}{label}"]
        for of_row in values
        for label in labels
        for share in [of_row[f"{prefix}{label}"]]
    )


def _spans(rows: Sequence[Row], duration_s: float) -> list[tuple[int, int]]:
    """Return each row's start and end in SVG units, halfway to the neighbouring windows, as windows may overlap."""
    starts = sorted({row.start_s for row in rows})
    every_s = float(np.median(np.diff(starts))) if len(starts) > 1 else np.inf
    spans: list[tuple[int, int]] = []
    for row in rows:
        middle_s, half_s = (row.start_s + row.end_s) / 2, min(every_s, row.end_s - row.start_s) / 2
        start_s = row.start_s if row.start_s == starts[0] else middle_s - half_s
        end_s = row.end_s if row.start_s == starts[-1] else middle_s + half_s
        start, end = (round(np.clip(time_s / duration_s, 0, 1) * WIDTH) for time_s in (start_s, end_s))
        last = spans[-1][1] if spans else 0
        # Close gaps of one unit, which come from rounding.
        start = last if abs(start - last) <= 1 else max(start, last)
        spans.append((start, max(end, start)))
    return spans


def _area(spans: Sequence[tuple[int, int]], values: Sequence[float]) -> str:
    """Return the area under a step function; values of NaN leave gaps."""
    parts = []
    for (start, end), value, before, after in _steps(spans, values):
        parts.append(f"{'' if before else f'M{start} {HEIGHT}'}V{_y(value)}H{end}{'' if after else f'V{HEIGHT}Z'}")
    return "".join(parts)


def _line(spans: Sequence[tuple[int, int]], values: Sequence[float]) -> str:
    """Return the line of a step function; values of NaN leave gaps."""
    parts = []
    for (start, end), value, before, _ in _steps(spans, values):
        parts.append(f"{f'V{_y(value)}' if before else f'M{start} {_y(value)}'}H{end}")
    return "".join(parts)


def _steps(
    spans: Sequence[tuple[int, int]], values: Sequence[float]
) -> Iterator[tuple[tuple[int, int], float, bool, bool]]:
    """Yield each value that is not NaN with its span, and whether another one adjoins it before, and after."""
    joined = [
        first[1] == second[0] and not np.isnan([value, following]).any()
        for (first, second), (value, following) in zip(pairwise(spans), pairwise(values), strict=True)
    ]
    for number, (span, value) in enumerate(zip(spans, values, strict=True)):
        if not np.isnan(value):
            yield span, value, number > 0 and joined[number - 1], number < len(joined) and joined[number]


def _y(value: float) -> int:
    return round(HEIGHT * (1 - value))
