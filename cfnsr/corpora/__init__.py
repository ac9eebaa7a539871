"""The corpora, one package each; its name is what ``corpus`` in params.yaml may say.

Each offers, with the options of its own section of params.yaml as keywords:

- ``labels(**options) -> list[str]``: the emotions' names in the order of their class index.
- ``prepare(actor, folder, *, source, jobs, **options)``: write one speaker's videos into a folder. Landmarks that
  come with a clip lie beside it, in a file of the same stem.
- ``clips(folder, bad) -> list[Clip]``: what ``prepare`` has written, with label and speaker, in the order of the names.
- ``expected(actor, **options) -> Counter[str] | None``: how many clips of each emotion the speaker must have.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.runtime.bad_clips import BadClips

VIDEOS = frozenset({".mp4", ".m4v", ".mov", ".avi", ".flv", ".mkv", ".webm", ".mpg"})


def names() -> list[str]:
    """The corpora that ``corpus`` may name."""
    return sorted(module.name for module in iter_modules(__path__) if module.ispkg)


def get(name: str) -> ModuleType:
    """The module of one corpus.

    Raises:
        CfnsrError: there is no such corpus.
    """
    if name not in names():
        raise CfnsrError("corpus", f"there is no corpus {name!r}", f"Name one of: {', '.join(names())}")
    return import_module(f"{__name__}.{name}")


def videos(folder: Path) -> list[Path]:
    """Every video in a folder, in the order of the names.

    Raises:
        CfnsrError: there is none.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEOS)
    if not found:
        raise CfnsrError(folder, "holds no video", "Run the download stage of this speaker again")
    return found


def described(folder: Path, bad: BadClips, describe: Callable[[Path], Clip]) -> list[Clip]:
    """Every clip in a folder, in the order of the names.

    Args:
        folder: of one speaker's videos.
        bad: is told of those that ``describe`` refuses.
        describe: reads label and speaker from a path.
    """
    clips = []
    for path in videos(folder):
        with bad.guard(path.stem):
            clips.append(describe(path))
    return clips
