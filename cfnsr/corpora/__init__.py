"""The corpora, one package each. ``corpus`` in params.yaml gives the package's name.

A package has these functions; their options are the corpus's section of params.yaml:

- ``labels(**options) -> list[str]``: the emotions in the order of their class index.
- ``clips(folder, bad) -> list[Clip]``: the clips that ``prepare`` wrote, with label and speaker, sorted by name.
- ``expected(actor, **options) -> Counter[str] | None``: the number of clips of each emotion that a speaker must have.
- ``gender(actor) -> str``, which a package may lack: for folds with as many women and men (``cfnsr folds balanced``).

Its subpackage ``prepare`` has a function ``prepare(actor, folder, *, source, jobs, **options)``, which writes one
speaker's videos into a folder, and landmarks that come with a clip beside it, in a file of the same stem. Neither
imports the other: a change to labels must not make or fetch clips again.
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
