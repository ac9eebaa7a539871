"""Folders that many stages write into and one reads: what no list names any longer goes, what is missing stops the run.

DVC deletes nothing when a list of params.yaml shrinks, and hashes such a folder whole: what is left over would run
the stages behind it again, and a result could come to depend on what was once run. So its reader tidies it up.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from cfnsr.errors import CfnsrError


def keep(folder: Path, wanted: Collection[str]) -> list[Path]:
    """Delete what is in a folder and not ``wanted``.

    Hidden files stay: they are half-written outputs of stages that may still be running.

    Args:
        folder: the folder.
        wanted: names within it, ``fold_1.json`` or ``model/fold_1.json``.

    Returns:
        What was deleted, the topmost of each.

    Raises:
        CfnsrError: something wanted is missing.
    """
    for name in wanted:
        if not (folder / name).exists():
            raise CfnsrError(folder / name, "is missing", "Run `dvc repro`, which makes what is missing")
    needed = {folder / name for name in wanted}
    return _delete(folder, needed, {folder / parent for name in wanted for parent in Path(name).parents})


def _delete(folder: Path, needed: set[Path], above: set[Path]) -> list[Path]:
    gone = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path in needed:
            continue
        if path in above:
            gone += _delete(path, needed, above)
            continue
        gone.append(path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return gone
