"""What a model says of recordings, as one page that opens without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cfnsr.inference.table import Row
from cfnsr.inference.voice_activity import Levels

if TYPE_CHECKING:
    from cfnsr.inference.model import Model


@dataclass(frozen=True)
class Pictured:
    """A recording on the page.

    Attributes:
        name: ``Run.name``.
        duration_s: ``Run.duration_s``.
        levels: ``Run.levels``, after its rows were read.
        rows: of a ``Run``; without pictures there is no film strip and no face.
    """

    name: str
    duration_s: float
    levels: Levels
    rows: Sequence[Row]


def render(recordings: Sequence[Pictured], model: Model) -> str:
    """Return the page as HTML.

    Args:
        recordings: in the order of the page.
        model: that said it.
    """
    title = model.card.name
    return f"<!doctype html><title>{len(title)}</title>{len(recordings)}"
