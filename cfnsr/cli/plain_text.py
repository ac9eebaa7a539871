"""Texts on the terminal, free of control characters: they may come from a model's header, a card or a CSV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

_LOST = "\N{REPLACEMENT CHARACTER}"


class PlainText(RenderHook):
    """Replaces control characters in all that a console prints, except those of the console itself."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Wrap what is printed."""
        return [_Plain(renderable) for renderable in renderables]


@dataclass(frozen=True)
class _Plain:
    """Something printed whose texts are replaced once it is drawn; its colours are no texts."""

    renderable: ConsoleRenderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.renderable, options):
            yield segment if segment.control else Segment(_plain(segment.text), segment.style)


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\n" else _LOST for char in text)
