"""The corpora, one file (or package) each; the file's name is what ``corpus`` in params.yaml may say.

Each offers:

- ``LABELS``: the emotions' names in the order of their class index.
- ``prepare(actor, clips, landmarks, *, <its options>)``: write one speaker's mp4 files into the folder
  ``clips`` and one landmark file per clip, of the same stem, into the folder ``landmarks``.
- ``describe(path) -> Clip``: read a clip's label and speaker from its path.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from cfnsr.errors import CfnsrError
from cfnsr.types import Clip


def names() -> list[str]:
    """The corpora that ``corpus`` may name."""
    return sorted(module.name for module in iter_modules(__path__))


def get(name: str) -> ModuleType:
    """The module of one corpus.

    Raises:
        CfnsrError: there is no such corpus.
    """
    if name not in names():
        raise CfnsrError("corpus", f"there is no corpus {name!r}", f"Name one of: {', '.join(names())}")
    return import_module(f"{__name__}.{name}")


def clips(name: str, folder: Path) -> list[Clip]:
    """Every clip in a folder, in the order of its file name.

    Raises:
        CfnsrError: the folder holds no mp4 file, or one with a name the corpus cannot read.
    """
    found = sorted(folder.glob("*.mp4"))
    if not found:
        raise CfnsrError(folder, "holds no mp4 file", "Run the download stage of this speaker again")
    describe = get(name).describe
    return [describe(path) for path in found]
