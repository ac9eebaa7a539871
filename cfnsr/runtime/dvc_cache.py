"""Find what is damaged in DVC's cache and in the workspace without DVC knowing, and remove it.

DVC takes an object's name for its content: a read-only file of the right name is never read again. A power cut can
leave such a file truncated, and DVC hands it out, even in place of an output that a stage has just written anew. Nor is
a file of the workspace read again while its size and time are those that DVC knows.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cfnsr.errors import CfnsrError
from cfnsr.runtime import checksum, dvc_repository

_OBJECT = re.compile(r"[0-9a-f]{30}(\.dir)?")  # DVC's temporary files have other names
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True)
class Damaged:
    """An object of the cache whose content is not what its name says, or a file of the workspace like that.

    Attributes:
        path: of the object, or of the file where the object is sound.
        md5: that its content must have.
        outputs: the files of the workspace with that content, or the folder whose files it lists. Empty if dvc.lock
            does not name the object.
    """

    path: Path
    md5: str
    outputs: tuple[Path, ...]

    def __str__(self) -> str:
        return ", ".join(map(str, self.outputs)) or str(self.path)


def damaged(root: Path, entries: Mapping[str, Any], *, deep: bool = False) -> list[Damaged]:
    """Compare the cached objects, and the files that DVC takes for unchanged, with dvc.lock.

    Objects that are not cached are no damage: they were removed, or not pulled.

    Args:
        root: of the repository.
        entries: of dvc.lock, by stage.
        deep: whether to read every object of the cache, those of earlier runs included. Else sizes are compared, and
            objects are read only where a size is wrong, or where a folder is cached in part, and no file is.

    Returns:
        The damaged objects, in the order of dvc.lock, and then the files.

    Raises:
        CfnsrError: an object cannot be read.
    """
    if not (root / ".dvc").is_dir() or not (cache := dvc_repository.cache_folder(root)).is_dir():
        return []
    recorded = _recorded(root, entries)
    outputs: dict[str, list[Path]] = defaultdict(list)
    suspects: dict[str, None] = {}
    try:
        for md5, (paths, sizes) in recorded.items():
            is_folder = md5.endswith(".dir")
            members = _members(cache, md5) if is_folder else {Path(): md5}
            if is_folder:
                outputs[md5] += paths
            if members is None:
                suspects[md5] = None
                continue
            for member, member_md5 in members.items():
                outputs[member_md5] += [path / member for path in paths]
            counts = [_size(cache, member_md5) for member_md5 in members.values()]
            cached = [count for count in counts if count is not None]
            if cached and (len(cached) < len(counts) or {sum(cached)} != sizes):
                suspects |= dict.fromkeys(members.values())
        if deep:
            suspects |= dict.fromkeys(
                path.parent.name + path.name for path in sorted(cache.glob("??/*")) if _OBJECT.fullmatch(path.name)
            )
        found = [
            Damaged(_object(cache, md5), md5, tuple(outputs[md5]))
            for md5 in suspects
            if _object(cache, md5).exists() and _md5_of(_object(cache, md5)) != md5.removesuffix(".dir")
        ]
        return found + (_damaged_files(root, cache, outputs, {item.md5 for item in found}) if deep else [])
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise CfnsrError(error.filename or cache, problem, "Give yourself the right to read DVC's cache") from error


def _damaged_files(
    root: Path, cache: Path, outputs: Mapping[str, list[Path]], damaged_objects: set[str]
) -> list[Damaged]:
    """List the files of the workspace that DVC takes for unchanged, and that are changed; their objects are sound.

    Args:
        root: of the repository.
        cache: the folder of the objects.
        outputs: the files of the workspace, by the md5 that they must have.
        damaged_objects: whose files are removed with them.
    """
    own = [
        (path, md5)
        for md5, paths in outputs.items()
        if not md5.endswith(".dir") and md5 not in damaged_objects
        for path in paths
        if path.is_file() and not (_object(cache, md5).is_file() and path.samefile(_object(cache, md5)))
    ]
    believed = dvc_repository.believed(root, [path for path, _ in own]) if own else {}
    return [Damaged(path, md5, (path,)) for path, md5 in own if believed.get(path) == md5 and checksum.md5(path) != md5]


def remove(item: Damaged) -> list[Path]:
    """Remove a damaged object, and the files of the workspace that were taken from it; or a damaged file.

    Returns:
        The paths that are removed.

    Raises:
        CfnsrError: a path cannot be removed.
    """
    # First the workspace: an interruption leaves the object, which is then found again.
    paths = [path for path in item.outputs if path.is_symlink() or (path.is_file() and checksum.md5(path) != item.md5)]
    removed = list(dict.fromkeys([*paths, item.path]))
    for path in removed:
        try:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        except OSError as error:
            problem = f"cannot be removed ({error.strerror})"
            raise CfnsrError(path, problem, "Have its owner run `cfnsr check --mend`") from error
    return removed


def _recorded(root: Path, entries: Mapping[str, Any]) -> dict[str, tuple[list[Path], set[int]]]:
    """List the paths and the sizes in bytes that dvc.lock gives each md5.

    Of one md5 there should be one size. But where DVC takes a damaged object for the output of a stage, it changes the
    size of that output and not of the stages that depend on it.
    """
    recorded: dict[str, tuple[list[Path], set[int]]] = defaultdict(lambda: ([], set()))
    for stage in entries.values():
        for kind in ("outs", "deps"):
            for entry in stage.get(kind, []):
                # Entries of DVC 2 have no `hash`, and their objects lie elsewhere.
                if entry.get("hash") != "md5" or "size" not in entry or not _MD5.fullmatch(str(entry.get("md5"))):
                    continue
                paths, sizes = recorded[entry["md5"]]
                sizes.add(entry["size"])
                path = Path(entry["path"])
                # What is no output of a stage is the user's, or lies outside: it is never removed.
                if kind == "outs" and _is_inside(path) and root / path not in paths:
                    paths.append(root / path)
    return recorded


def _md5_of(path: Path) -> str:
    return checksum.md5(path) if path.is_file() else "none: a folder"


def _is_inside(path: Path) -> bool:
    """Return whether a relative path stays in the folder that it starts from."""
    return not path.is_absolute() and ".." not in path.parts


def _members(cache: Path, md5: str) -> Mapping[Path, str] | None:
    """Read which files a folder has, and the md5 of each; None if the list is damaged, nothing if it is absent."""
    path = _object(cache, md5)
    if not path.is_file():
        return {}
    content = path.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5.removesuffix(".dir"):
        return None
    entries: list[dict[str, Any]] = json.loads(content)
    members = {Path(entry.get("relpath", "..")): str(entry.get("md5")) for entry in entries}
    return {path: md5 for path, md5 in members.items() if _is_inside(path) and _MD5.fullmatch(md5)}


def _size(cache: Path, md5: str) -> int | None:
    path = _object(cache, md5)
    return path.stat().st_size if path.exists() else None


def _object(cache: Path, md5: str) -> Path:
    return cache / md5[:2] / md5[2:]
