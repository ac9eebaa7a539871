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

from types import ModuleType

from cfnsr.runtime import registry


def names() -> list[str]:
    """List the corpora that ``corpus`` may name."""
    return registry.names(__name__, folders_only=True)


def get(name: str) -> ModuleType:
    """Import the package of one corpus.

    Raises:
        CfnsrError: there is no such corpus.
    """
    return registry.load(__name__, name, where="corpus", kind="corpus", folders_only=True)
