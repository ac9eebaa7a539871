"""Collect the problems of a labels file, to report all of them in one message."""

from __future__ import annotations

from cfnsr.errors import CfnsrError

_SHOWN = 3  # examples of each kind


class Problems:
    """Problems by kind, each with what it is about and what can be done."""

    def __init__(self) -> None:
        self._items: dict[str, list[str]] = {}
        self._remedies: dict[str, str] = {}

    def add(self, kind: str, item: str, remedy: str) -> None:
        """Add one problem.

        Args:
            kind: what is wrong, the same words for all of a kind: ``empty cell``.
            item: where: ``line 3``.
            remedy: what the user can do about this kind.
        """
        self._items.setdefault(kind, []).append(item)
        self._remedies.setdefault(kind, remedy)

    def raise_any(self, where: object) -> None:
        """Raise one error about all problems.

        Raises:
            CfnsrError: there is a problem.
        """
        if self._items:
            kinds = "; ".join(f"{kind}: {shown(items)}" for kind, items in self._items.items())
            raise CfnsrError(where, kinds, ". ".join(dict.fromkeys(self._remedies.values())))


def shown(items: list[str]) -> str:
    """Return the number of items and the first few: ``5 (a, b, c, ...)``."""
    return f"{len(items):,} ({', '.join(items[:_SHOWN])}{', ...' if len(items) > _SHOWN else ''})"
