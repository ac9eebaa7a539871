"""The models that the page offers, with their cards; no model is loaded."""

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
    """A model that the page offers.

    Attributes:
        name: that the page shows.
        path: of its file.
        card: of the model.
        ships: whether it comes with cfnsr; such a model is not selected beforehand.
    """

    name: str
    path: Path
    card: Card
    ships: bool = False


def choices(models: Sequence[str]) -> list[Choice]:
    """List the models named by the user, the best of this workspace if there is one, and those that come with cfnsr.

    Raises:
        CfnsrError: there is no such model, or its card cannot be read.
    """
    named = [(model, names.find(model)) for model in models]
    with suppress(CfnsrError):  # this folder has no best model, or several, of which the user must name one
        named.append((names.BEST, names.find(names.BEST)))
    listed = [Choice(name, path.absolute(), Card.of(path)) for name, path in named]
    listed += [Choice(path.parent.name, path, Card.of(path), ships=True) for path in shipped()]
    by_file: dict[Path, Choice] = {}
    for choice in listed:
        by_file.setdefault(choice.path, choice)
    return list(by_file.values())
