"""Rows as a model gives them, made up: for pages and videos without a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cfnsr.inference.kinds import Opinion
from cfnsr.inference.picture import Picture
from cfnsr.inference.table import Row

LABELS = ["neutral", "happy", "sad", "angry"]


def opinion(generator: np.random.Generator, classes: int = len(LABELS)) -> Opinion:
    """Make up what both modalities say, and the model as a whole."""
    return Opinion(*np.log(generator.dirichlet(np.ones(classes), 3)).astype(np.float32))


def rows(
    name: str,
    count: int,
    *,
    window_s: float = 1.0,
    people: Sequence[int] = (0,),
    pictures: bool = True,
    attends: bool = True,
    classes: int = len(LABELS),
) -> list[Row]:
    """Make up a recording's rows; the second window has no face, the third no voice, and the fourth is far."""
    generator = np.random.default_rng(0)
    made = []
    shown = {*np.linspace(0, count - 1, min(count, 40)).round().astype(int).tolist()}
    for number in range(count):
        for person in people[:1] if number == 1 else people:
            picture = None
            if pictures and number in shown:
                picture = Picture.of(generator.integers(0, 255, (180, 320, 3), dtype=np.uint8))
                face = generator.integers(0, 255, (64, 64, 3), dtype=np.uint8)
                attention = generator.random((64, 64), np.float32)
                picture = (
                    picture if number == 1 else picture.with_face(face).with_attention(attention if attends else None)
                )
            missing = {1: {"face": "nobody is seen"}, 2: {"voice": "nobody speaks"}}.get(number, {})
            box = (np.nan,) * 3 if number == 1 else (60.0 + 90 * person + number % 10, 90.0, 60.0)
            made.append(
                Row(
                    name,
                    number * window_s,
                    (number + 1) * window_s,
                    None if number == 1 else person,
                    missing,
                    box,
                    opinion(generator, classes),
                    1.0,
                    99.5 if number == 3 else 40.0,
                    number == 3,
                    picture,
                )
            )
    return made
