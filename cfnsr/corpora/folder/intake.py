"""Read a labels file against the folder of its videos: clips with safe names, and all problems in one message."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cfnsr.corpora.filenames import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from cfnsr.corpora.folder import parts as of_rows
from cfnsr.corpora.folder import sheet
from cfnsr.corpora.folder.files import Files
from cfnsr.corpora.folder.names import safe, safe_names
from cfnsr.corpora.folder.parts import Part
from cfnsr.corpora.folder.prepare.intake_file import Entry
from cfnsr.corpora.folder.problems import Problems
from cfnsr.corpora.folder.sheet import Row

_NEEDED, _NAMES = ("file", "label", "speaker"), ("group", "fold")
_LONGEST_ID = 200  # bytes: a disk takes 255, and files of a clip are named after it
_OPTIONAL = (*_NAMES, "audio", "start_s", "end_s", "face")


@dataclass(frozen=True)
class Intake:
    """What a labels file and its folder hold.

    Attributes:
        entries: the clips; those whose video is missing have a ``problem``.
        unread: columns that are not read.
        dropped: the number of clips of each label that the map of labels drops, as written.
        surplus: videos that no row names.
    """

    entries: list[Entry]
    unread: list[str]
    dropped: Counter[str]
    surplus: list[str]


def read(path: Path, videos: Path, label_map: Path | None, *, skip_missing: bool) -> Intake:
    """Read a labels file, and find its videos.

    Args:
        path: the labels file, see ``sheet.read``.
        videos: the folder that its paths start from.
        label_map: a table with the columns ``from`` and ``to``, which renames, joins and drops labels.
        skip_missing: whether a missing video is the problem of its clip, not of the labels file.

    Raises:
        CfnsrError: one of the files cannot be read, or has problems; all of them are named.
    """
    problems = Problems()
    table = sheet.read(path, _NEEDED, _OPTIONAL, problems)
    rows, dropped = table.rows, Counter[str]()
    for row in rows:
        empty = [name for name in _NEEDED if not row.cells[name]]
        if empty:
            problems.add("rows with an empty cell", f"line {row.line}, {empty[0]}", "Fill the cell, or remove the row")
    rows = [row for row in rows if all(row.cells[name] for name in _NEEDED)]
    if label_map is not None:
        rows, dropped = _mapped(rows, _read_map(label_map), problems)
    remedies = {column: f"Write one {column} in one way, and two more distinctly" for column in ("speaker", *_NAMES)}
    remedies["label"] = "Join or rename labels with --labels map.csv"
    names = {
        column: safe_names((row.cells.get(column, "") for row in rows), column, remedy, problems)
        for column, remedy in remedies.items()
    }
    _check_fold_cells(rows, problems)
    files = Files(videos)
    paths = [_find(row, "file", files, videos, problems, skip_missing=skip_missing) for row in rows]
    sounds = [_find(row, "audio", files, videos, problems, skip_missing=skip_missing) for row in rows]
    parts = of_rows.read(rows, problems)
    ids = _ids(rows, [file for file, _ in paths], parts, problems)
    problems.raise_any(path)
    entries = [
        Entry(
            clip=clip,
            file=file,
            label=names["label"][row.cells["label"]],
            speaker=names["speaker"][row.cells["speaker"]],
            written_label=row.cells["label"],
            written_speaker=row.cells["speaker"],
            group=row.cells.get("group", ""),
            fold=f"fold_{names['fold'][row.cells['fold']]}" if row.cells.get("fold") else "",
            landmarks=files.landmarks(file) if exists else "",
            audio=sound,
            start_s=part.start_s,
            end_s=part.end_s,
            face=part.face,
            problem="the video is missing" if not exists else "" if heard else "the file of its sound is missing",
        )
        for row, clip, part, (file, exists), (sound, heard) in zip(rows, ids, parts, paths, sounds, strict=True)
    ]
    surplus = files.surplus([file for file, exists in paths if exists], [sound for sound, _ in sounds])
    return Intake(sorted(entries, key=lambda entry: entry.clip), table.unread, dropped, surplus)


def _read_map(path: Path) -> dict[str, str]:
    problems = Problems()
    names: dict[str, str] = {}
    for row in sheet.read(path, ("from", "to"), (), problems).rows:
        if names.setdefault(row.cells["from"], row.cells["to"]) != row.cells["to"]:
            problems.add("labels with two new names", repr(row.cells["from"]), "Keep one row of each label")
    problems.raise_any(path)
    return names


def _mapped(rows: list[Row], names: dict[str, str], problems: Problems) -> tuple[list[Row], Counter[str]]:
    """Rename the labels; return the rows that are kept, and the number of those dropped by label."""
    labels = {row.cells["label"] for row in rows}
    for name in sorted(names.keys() - labels):
        problems.add("labels of the map that no row has", repr(name), "Correct the column `from` of the map")
    kept, dropped = [], Counter[str]()
    for row in rows:
        label = row.cells["label"]
        if names.get(label, label):
            kept.append(Row(row.line, {**row.cells, "label": names.get(label, label)}))
        else:
            dropped[label] += 1
    return kept, dropped


def _check_fold_cells(rows: list[Row], problems: Problems) -> None:
    """A speaker and a group are in one fold; a column `fold` is filled in every row or in none."""
    folds = [row.cells.get("fold", "") for row in rows]
    if not any(folds):
        return
    of_part: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row, fold in zip(rows, folds, strict=True):
        if not fold:
            problems.add("rows without a fold", f"line {row.line}", "Fill the column fold in every row")
        for column in ("speaker", "group"):
            of_part[column, row.cells.get(column, "")].add(fold)
    for (column, name), names in of_part.items():
        if name and len(names) > 1:
            problem = f"{name!r} in {' and '.join(map(repr, sorted(names)))}"
            problems.add(f"{column}s in two folds", problem, "Give all clips of a speaker or group one fold")


def _find(
    row: Row, column: str, files: Files, videos: Path, problems: Problems, *, skip_missing: bool
) -> tuple[str, bool]:
    """Return the path within the folder of the file that a cell names, and whether it exists; an empty cell has none.

    Args:
        row: of the labels file.
        column: ``file`` or ``audio``.
        files: of the folder.
        videos: the folder.
        problems: cells that name no file, or several.
        skip_missing: whether a missing file is no problem of the labels file.
    """
    name = row.cells.get(column, "")
    if not name:
        return "", True
    found = files.find(name, AUDIO_SUFFIXES if column == "audio" else VIDEO_SUFFIXES)
    path = found[0] if found else str(PurePosixPath(name.replace("\\", "/")))
    if not found and (path.startswith("/") or ".." in PurePosixPath(path).parts):
        problems.add(f"paths outside {videos}", name, "Give each file's path within the folder")
    elif not found and not skip_missing:
        remedy = "Give the folder that the paths start from, remove the rows, or set on_bad_clip: skip"
        problems.add(f"{'videos' if column == 'file' else 'files of sound'} that are not in {videos}", name, remedy)
    elif len(found) > 1:
        problems.add("names that fit several files", f"{name}: {' and '.join(found[:2])}", "Write the whole path")
    return path, bool(found)


def _ids(rows: list[Row], paths: list[str], parts: list[Part], problems: Problems) -> list[str]:
    """Return the id of each row's clip.

    It is the file's name without ending, or all of the path where two folders have the same name; where several rows
    have one file, the part follows.
    """
    without = {path: PurePosixPath(path).parent / PurePosixPath(path).stem for path in paths}
    names = Counter(path.name.casefold() for path in without.values())
    shared = Counter(paths)
    ids: list[str] = []
    first: dict[str, tuple[str, int]] = {}
    for row, path, part in zip(rows, paths, parts, strict=True):
        stem = without[path]
        name = stem.name if names[stem.name.casefold()] == 1 else "_".join(safe(folder) for folder in stem.parts)
        ids.append(name + part.suffix() if shared[path] > 1 else name)
        if len(os.fsencode(ids[-1])) > _LONGEST_ID:
            kind = f"videos whose names have more than {_LONGEST_ID} bytes"
            problems.add(kind, f"{path[:20]}...", "Give the files shorter names")
        other, line = first.setdefault(ids[-1].casefold(), (path, row.line))
        if other != path:
            problems.add("videos whose names become one", f"{other} and {path}", "Rename one of them")
        elif line != row.line:
            remedy = "Remove one of the rows, or give each its start_s"
            problems.add("videos named twice", f"{path} in lines {line} and {row.line}", remedy)
    return ids
