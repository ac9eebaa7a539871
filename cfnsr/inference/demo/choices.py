"""The models that can be chosen, by their cards: none is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cfnsr.errors import CfnsrError
from cfnsr.inference import names
from cfnsr.inference.card import Card, shipped


@dataclass(frozen=True)
class Choice:
    """A model.

    Attributes:
        name: as the user knows it.
        path: of its file.
        card: of the model.
        ships: whether it comes with cfnsr, so that it is never chosen by itself.
    """

    name: str
    path: Path
    card: Card
    ships: bool = False


def choices(models: Sequence[str]) -> list[Choice]:
    """List the models that the user names, then the best of this workspace, if there is one, and those that ship.

    Raises:
        CfnsrError: there is no such model, or its card cannot be read.
    """
    known = [(model, names.find(model)) for model in models]
    with suppress(CfnsrError):  # this folder has none, or several: then the user names one
        known.append((names.BEST, names.find(names.BEST)))
    listed = [Choice(name, path.absolute(), Card.of(path)) for name, path in known]
    listed += [Choice(path.parent.name, path, Card.of(path), ships=True) for path in shipped()]
    by_file: dict[Path, Choice] = {}
    for choice in listed:
        by_file.setdefault(choice.path, choice)
    return list(by_file.values())
