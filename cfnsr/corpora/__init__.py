"""The corpora, one package each; the package's name is what ``corpus`` in params.yaml may say.

A package offers, with the options of its own section of params.yaml as keywords:

- ``labels(**options) -> list[str]``: the emotions in the order of their class index.
- ``clips(folder, bad) -> list[Clip]``: what ``prepare`` has written, with label and speaker, sorted by name.
- ``expected(actor, **options) -> Counter[str] | None``: how many clips of each emotion the speaker must have.

Its subpackage ``prepare`` offers ``prepare(actor, folder, *, source, jobs, **options)``, which writes one speaker's
videos into a folder. Landmarks that come with a clip lie beside it, in a file of the same stem. Neither side imports
the other: a change to labels must not make or fetch clips again.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from cfnsr.errors import CfnsrError


def names() -> list[str]:
    """List the corpora that ``corpus`` may name."""
    return sorted(module.name for module in iter_modules(__path__) if module.ispkg)


def get(name: str) -> ModuleType:
    """Import the package of one corpus.

    Raises:
        CfnsrError: there is no such corpus.
    """
    if name not in names():
        raise CfnsrError("corpus", f"there is no corpus {name!r}", f"Name one of: {', '.join(names())}")
    return import_module(f"{__name__}.{name}")
