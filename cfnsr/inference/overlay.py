"""Draw the predictions at a time into a frame: face boxes, and a bar for each emotion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import UInt8

from cfnsr.errors import printable
from cfnsr.inference.table import FUSED, Row

Image = UInt8[np.ndarray, "height width 3"]
Patch = UInt8[np.ndarray, "tall wide 3"]
_TEXT = 1 / 32  # height of the letters as a share of the picture's shorter side
_SMALLEST_PX, _LARGEST_PX = 9, 36  # limits of the letters' height
_WEIGHT = 500  # of the font: regular is 400
_BACKGROUND = 0.35  # weight of the picture behind text, 0 to 1
_WHITE, _ORANGE, _BLUE, _DARK = (255, 255, 255), (255, 176, 90), (112, 178, 255), (18, 24, 32)
_MAX_GAP = 1.05  # in window lengths, between the middles of two windows whose boxes are interpolated


@dataclass(frozen=True)
class _Person:
    """The rows of a person in order of time, and the times of their windows' middles in seconds."""

    rows: Sequence[Row]
    middles_s: np.ndarray

    def at(self, time_s: float) -> int | None:
        """Return the number of the row whose window contains a time; of several, the one with the nearest middle."""
        nearest = np.argsort(np.abs(self.middles_s - time_s), kind="stable")
        containing = (
            number for number in nearest.tolist() if self.rows[number].start_s <= time_s <= self.rows[number].end_s
        )
        return next(containing, None)

    def box(self, number: int, time_s: float) -> np.ndarray:
        """Return the box at a time, interpolated between the row and its neighbour in time: centre x, y and side."""
        box, middle_s = np.array(self.rows[number].box), self.middles_s[number]
        other = number + (1 if time_s > middle_s else -1)
        if not 0 <= other < len(self.rows) or np.isnan(self.rows[other].box).any():
            return box
        apart_s = abs(self.middles_s[other] - middle_s)
        if apart_s > _MAX_GAP * (self.rows[number].end_s - self.rows[number].start_s):
            return box
        share = abs(time_s - middle_s) / apart_s
        return (1 - share) * box + share * np.array(self.rows[other].box)


class Overlay:
    """Draws predictions into frames.

    Args:
        rows: of the recording.
        labels: the emotions.
        width, height: of the picture in pixels.
    """

    def __init__(self, rows: Sequence[Row], labels: Sequence[str], width: int, height: int) -> None:
        self._labels, self._width, self._height = list(labels), width, height
        self._letters_px = int(np.clip(min(width, height) * _TEXT, _SMALLEST_PX, _LARGEST_PX))
        self._font = cv2.FontFace("sans")  # any language's letters
        self._people = {person: _person(rows, person) for person in dict.fromkeys(row.person for row in rows)}
        self._several = len({row.start_s for row in rows}) < len(rows)
        # Texts are drawn once per window, not for each of its frames.
        self._caption = lru_cache(maxsize=16)(self._draw_caption)
        self._panel = lru_cache(maxsize=16)(self._draw_panel)

    def draw(self, image: Image, time_s: float) -> None:
        """Draw into a frame.

        Args:
            image: RGB, changed in place.
            time_s: of the frame, in seconds.
        """
        row_numbers = {person: of_person.at(time_s) for person, of_person in self._people.items()}
        shown = {person: number for person, number in row_numbers.items() if number is not None}
        for person, number in shown.items():
            box = self._people[person].box(number, time_s)
            if not np.isnan(box).any():
                self._draw_box(image, box, self._caption(person, number))
        self._draw_panels(image, shown)

    def _draw_box(self, image: Image, box: np.ndarray, caption: Patch) -> None:
        x, y, side = box
        left, top, right, bottom = (round(value) for value in (x - side / 2, y - side / 2, x + side / 2, y + side / 2))
        width = max(self._letters_px // 8, 1)
        for colour, of_line in ((_DARK, 3 * width), (_WHITE, width)):
            cv2.rectangle(image, (left, top), (right, bottom), colour, of_line)
        # Above the box, or inside it where there is no room above.
        over = top - caption.shape[0] - 2 * width
        _blend(image, caption, left - width, over if over >= 0 else top + 2 * width)

    def _draw_panels(self, image: Image, shown: Mapping[int | None, int]) -> None:
        left = self._letters_px // 2
        from_left = {
            person: np.nan_to_num(self._people[person].rows[number].box[0]) for person, number in shown.items()
        }
        for person in sorted(shown, key=lambda person: from_left[person]):
            number = shown[person]
            panel = self._panel(person, number)
            if left + panel.shape[1] > self._width and left > self._letters_px:
                break  # no room for more people
            _blend(image, panel, left, self._height - panel.shape[0] - self._letters_px // 2)
            left += panel.shape[1] + self._letters_px // 2

    def _draw_caption(self, person: int | None, number: int) -> Patch:
        row = self._people[person].rows[number]
        return self._lines([(f"{self._name(person)}{_answer(row, self._labels)}", _WHITE)])

    def _draw_panel(self, person: int | None, number: int) -> Patch:
        row = self._people[person].rows[number]
        values = row.values(self._labels)
        texts = [(f"{self._name(person)}{_answer(row, self._labels)}", _WHITE)]
        texts += [(f"no {name}", _ORANGE) for name in row.missing]
        texts += [("far from the training clips", _ORANGE)] if row.is_far else []
        bars = [(printable(label), values[f"{FUSED}{label}"]) for label in self._labels]
        if row.opinion.fused is None:
            return self._lines(texts)
        return self._lines(texts, bars)

    def _name(self, person: int | None) -> str:
        return f"{person}: " if self._several and person is not None else ""

    def _lines(
        self, texts: Sequence[tuple[str, tuple[int, int, int]]], bars: Sequence[tuple[str, float]] = ()
    ) -> Patch:
        """Draw lines of text, and bars under them."""
        letters, line = self._letters_px, round(1.5 * self._letters_px)
        labels_px = max((self._text_px(label) for label, _ in bars), default=0)
        bar_px = 5 * letters if bars else 0
        inner = max([self._text_px(text) for text, _ in texts] + [labels_px + bar_px + letters])
        image = np.full((line * (len(texts) + len(bars)) + letters // 2, inner + letters, 3), _DARK, np.uint8)
        for number, (text, colour) in enumerate(texts):
            self._write(image, text, letters // 2, number * line + round(1.25 * letters), colour)
        largest = max((share for _, share in bars), default=0.0)
        for number, (label, share) in enumerate(bars, start=len(texts)):
            self._write(image, label, letters // 2, number * line + round(1.25 * letters), _WHITE)
            start, top = letters + labels_px + letters // 2, number * line + round(0.5 * letters)
            colour = _WHITE if share == largest else _BLUE
            cv2.rectangle(image, (start, top), (start + bar_px - letters, top + letters - 2), (70, 78, 90), -1)
            cv2.rectangle(
                image, (start, top), (start + round(share * (bar_px - letters)), top + letters - 2), colour, -1
            )
        return image

    def _text_px(self, text: str) -> int:
        return cv2.getTextSize((0, 0), text, (0, 0), self._font, self._letters_px, _WEIGHT)[2] + 1

    def _write(self, image: Patch, text: str, x: int, y: int, colour: tuple[int, int, int]) -> None:
        cv2.putText(image, text, (x, y), colour, self._font, self._letters_px, _WEIGHT)


def _person(rows: Sequence[Row], person: int | None) -> _Person:
    of_person = sorted((row for row in rows if row.person == person), key=lambda row: row.start_s)
    return _Person(of_person, np.array([(row.start_s + row.end_s) / 2 for row in of_person]))


def _answer(row: Row, labels: Sequence[str]) -> str:
    values = row.values(labels)
    if values["emotion"] is None:
        return "no prediction"
    return f"{printable(values['emotion'])} {values['confidence']:.0%}"


def _blend(image: Image, patch: Patch, left: int, top: int) -> None:
    """Draw a patch over a picture, moved inside it as far as there is room."""
    height, width = image.shape[:2]
    left = max(min(left, width - patch.shape[1]), 0)
    top = max(min(top, height - patch.shape[0]), 0)
    part = image[top : top + patch.shape[0], left : left + patch.shape[1]]
    inside = patch[: part.shape[0], : part.shape[1]]
    bright = inside.max(axis=2, keepdims=True) > max(_DARK)
    part[:] = np.where(bright, inside, cv2.addWeighted(part, _BACKGROUND, inside, 1 - _BACKGROUND, 0))
