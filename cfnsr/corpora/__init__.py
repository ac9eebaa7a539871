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

from cfnsr.bad_clips import BadClips
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


def clips(name: str, folder: Path, bad: BadClips) -> list[Clip]:
    """Every clip in a folder, in the order of its file name.

    Args:
        name: the corpus.
        folder: of one speaker's mp4 files.
        bad: is told of names the corpus cannot read.

    Raises:
        CfnsrError: the folder holds no mp4 file.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".mp4")
    if not found:
        raise CfnsrError(folder, "holds no mp4 file", "Run the download stage of this speaker again")
    describe = get(name).describe
    named = []
    for path in found:
        with bad.guard(path.stem):
            named.append(describe(path))
    return named
