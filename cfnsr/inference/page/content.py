"""The values that the page's template shows for each recording."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cfnsr.errors import printable
from cfnsr.inference.page import timeline
from cfnsr.inference.picture import Picture
from cfnsr.inference.table import FACE, FUSED, VOICE, Row, summary
from cfnsr.inference.voice_activity import Levels

if TYPE_CHECKING:
    from cfnsr.inference.model import Model

ATTENTION = (
    "Bright: where the prediction depends on the picture most; a small change there would change it most. "
    "This explains the model. It does not say what a person feels, or why."
)
NO_ATTENTION = "This kind of model has no attention map."
_SLOTS = 12  # pictures of the film strip
_MAX_FACES = 40  # shown of a recording
_MAX_PEOPLE = 6  # drawn over time
_DIGIT_PX = 9  # height of a person's number in a thumbnail
_QUALITY = 70  # of WebP, 0 to 100
_SOURCES = (("model", FUSED), ("face", FACE), ("voice", VOICE))
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


@dataclass(frozen=True)
class Pictured:
    """A recording on the page.

    Attributes:
        name: ``Run.name``.
        duration_s: ``Run.duration_s``.
        levels: ``Run.levels``, read after the rows.
        rows: of the ``Run``; without pictures, the page has no film strip and no faces.
    """

    name: str
    duration_s: float
    levels: Levels
    rows: Sequence[Row]


def of_recordings(recordings: Sequence[Pictured], model: Model) -> list[dict[str, Any]]:
    """Return the template's values for each recording."""
    return [_of_recording(recording, model.labels) for recording in recordings]


def percent(share: float) -> str:
    """Write a share (0 to 1) as a whole percentage, without a line break before the sign."""
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def _of_recording(recording: Pictured, labels: list[str]) -> dict[str, Any]:
    rows, duration_s = recording.rows, recording.duration_s
    seen = sorted({row.person for row in rows if row.person is not None})
    # If no window has several people, all rows are one chart: after a cut, the same person may have another number.
    several = len({row.start_s for row in rows}) < len(rows)
    groups = _by_person(rows) if several else {"": rows}
    people = [_of_person(title, of_person, labels, duration_s) for title, of_person in groups.items()]
    drawn = [band for person in people for band in person["bands"]]
    return {
        "name": printable(recording.name),
        "summary": summary(rows, labels),
        "film": _film(rows, duration_s, numbered=several),
        "sound": timeline.waveform(recording.levels),
        "ticks": timeline.ticks(duration_s),
        "people": people[:_MAX_PEOPLE],
        "left_out": f"{len(people) - _MAX_PEOPLE} more people are in the table." if len(people) > _MAX_PEOPLE else "",
        "has_people": len(seen) > 1,
        "has_face": any(band.face for band in drawn),
        "has_voice": any(band.voice for band in drawn),
        "far": any(row.is_far for row in rows),
        "faces": _faces(rows, labels, duration_s, numbered=several),
        "attends": any(row.picture is not None and row.picture.attention is not None for row in rows),
        "table": [_of_row(row, labels, duration_s) for row in rows],
    }


def _by_person(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return rows by person, those seen longest first, and windows without a face last."""
    groups: dict[int | None, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.person, []).append(row)
    order = sorted(groups, key=lambda person: (person is None, -len(groups[person])))
    return {"nobody seen" if person is None else f"person {person}": groups[person] for person in order}


def _of_person(title: str, rows: Sequence[Row], labels: list[str], duration_s: float) -> dict[str, Any]:
    of_whom = f" of {title}" if title else ""
    return {
        "title": title.capitalize(),
        "description": f"Probabilities over time{of_whom}: {summary(rows, labels)}. The table has the numbers.",
        "bands": timeline.bands(rows, labels, duration_s),
        "marks": timeline.marks(rows, duration_s),
    }


def _film(rows: Sequence[Row], duration_s: float, *, numbered: bool) -> list[tuple[str, str]]:
    """Return time and data URL of the film strip's pictures, each the nearest to the middle of its part of the time."""
    shown: dict[float, list[Row]] = {}
    for row in rows:
        if row.picture is not None:
            shown.setdefault((row.start_s + row.end_s) / 2, []).append(row)
    count = min(_SLOTS, len(shown))
    middles_s = (np.arange(count) + 0.5) / max(count, 1) * duration_s
    nearest = [min(shown, key=lambda time_s, middle_s=middle_s: abs(time_s - middle_s)) for middle_s in middles_s]
    return [
        (timeline.clock(time_s, duration_s), _data_url(_with_boxes(shown[time_s], numbered=numbered)))
        for time_s in nearest
    ]


def _with_boxes(rows: Sequence[Row], *, numbered: bool) -> np.ndarray:
    """Draw the boxes of a window's people, with their numbers, into its thumbnail."""
    picture = rows[0].picture
    assert picture is not None
    image = picture.frame.copy()
    for row in rows:
        if np.isnan(row.box).any():
            continue
        x, y, side = (round(value * picture.scale) for value in row.box)
        corner, opposite = (x - side // 2, y - side // 2), (x + side // 2, y + side // 2)
        for colour, width in ((_BLACK, 3), (_WHITE, 1)):
            cv2.rectangle(image, corner, opposite, colour, width)
            if numbered:
                above = corner[1] - 4 if corner[1] > _DIGIT_PX + 4 else opposite[1] + _DIGIT_PX + 4
                position = (max(corner[0], 1), above)
                cv2.putText(
                    image, str(row.person), position, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, width, cv2.LINE_AA
                )
    return image


def _faces(rows: Sequence[Row], labels: list[str], duration_s: float, *, numbered: bool) -> list[dict[str, Any]]:
    """Return the template's values for faces, evenly spaced in time."""
    with_face = [(row, row.picture) for row in rows if row.picture is not None and row.picture.has_face]
    chosen = np.linspace(0, len(with_face) - 1, min(_MAX_FACES, len(with_face))).round().astype(int)
    return [_of_face(*with_face[int(number)], labels, duration_s, numbered=numbered) for number in chosen]


def _of_face(row: Row, picture: Picture, labels: list[str], duration_s: float, *, numbered: bool) -> dict[str, Any]:
    from cfnsr.report.page import gallery  # takes a second

    assert picture.face is not None
    values = row.values(labels)
    predictions = [(source, *_best(values, labels, prefix)) for source, prefix in _SOURCES]
    # A modality with the same probability as the whole model is the only one that the model reads.
    opinions = [
        (source, label, share)
        for source, label, share in predictions
        if share == share and (source == "model" or share != predictions[0][2])
    ]
    time = timeline.clock((row.start_s + row.end_s) / 2, duration_s)
    attention = picture.attention
    return {
        "time": time,
        "title": f"{time}, person {row.person}" if numbered else time,
        "face": gallery.draw_faces(picture.face[None]),
        "attention": None if attention is None else gallery.draw_attention(attention[None], picture.face[None]),
        "opinions": opinions,
        "missing": ", ".join(f"no {name} ({problem})" for name, problem in row.missing.items()),
        "far": "far from the training clips" if row.is_far else "",
    }


def _of_row(row: Row, labels: list[str], duration_s: float) -> dict[str, Any]:
    values = row.values(labels)
    alone = {}
    for name, prefix in (("face", FACE), ("voice", VOICE)):
        label, share = _best(values, labels, prefix)
        alone[name] = f"{label} {percent(share)}" if share == share else "–"
    shares = [values[f"{FUSED}{label}"] for label in labels]
    return {
        "time": f"{timeline.clock(row.start_s, duration_s)}–{timeline.clock(row.end_s, duration_s)}",
        "person": "–" if row.person is None else row.person,
        "emotion": values["emotion"] or "no prediction",
        "shares": [f"{100 * share:.0f}" if share == share else "–" for share in shares],
        **alone,
        "missing": " ".join(row.missing) or "–",
        "distance": f"{row.distance:.0f}" if row.distance == row.distance else "–",
        "far": "far" if row.is_far else "",
    }


def _best(values: dict[str, Any], labels: list[str], prefix: str) -> tuple[str, float]:
    """Return the most probable emotion and its probability; NaN if there is no prediction."""
    label = max(labels, key=lambda label: values[f"{prefix}{label}"])
    return label, values[f"{prefix}{label}"]


def _data_url(picture: np.ndarray) -> str:
    success, data = cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    assert success
    return f"data:image/webp;base64,{base64.b64encode(data.tobytes()).decode()}"
