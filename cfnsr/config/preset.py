"""Presets: ``base.yaml``, which has every key with its comment, and overlays that name only the keys they change."""

from __future__ import annotations

import io
import re
from itertools import takewhile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from cfnsr import config
from cfnsr.config.yaml_files import read_text, read_yaml
from cfnsr.errors import CfnsrError
from cfnsr.runtime.outputs import atomic_file, writing

Values = dict[str, Any]
Leaves = dict[tuple[str, ...], Any]
# What belongs to the user's machine or data: a preset changes only the keys of these that it names. Not
# `train.threads`, which the preset ravdess names: the preset studio could then not undo it.
_KEPT = (
    ("fetch",), ("parallel",), ("corpora", "ravdess"), ("corpora", "ravdess_speech", "licence_accepted"),
    ("corpora", "crema_d"), ("corpora", "folder"), ("train", "device"), ("evaluate", "checkpoints"),
)  # fmt: skip
# Sections whose keys the user chooses: replaced as a whole.
_WHOLE = {("folds",), ("ablations", "variants"), ("cross", "labels")}
# A key with its value, which may be quoted, and the comment behind it.
_COMMENT = re.compile(r"""\s*[^\s:]+:(?:\s+(?:'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|(?:[^\s#]|\S#|\s(?!#))+))?\s+(#.*)$""")


def names(folder: Path) -> list[str]:
    """List the presets of a folder."""
    base = _base(folder)
    return sorted(path.stem for path in folder.glob("*.yaml") if path != base)


def summary(overlay: Path) -> str:
    """Read what a preset is for: the first sentence of the comment at its top."""
    lines = takewhile(lambda line: line.startswith("#"), read_text(overlay).splitlines())
    return re.split(r"[:;.] |[:;.]$", " ".join(line.removeprefix("#").strip() for line in lines))[0]


def load(overlay: Path) -> Values:
    """Load all values of a preset: those of base.yaml, and its own in their place.

    Raises:
        CfnsrError: there is no such preset, or it names a key that base.yaml does not have.
    """
    values, own = _read(overlay)
    for path, value in own.items():
        section = values
        for key in path[:-1]:
            section = section[key]
        section[path[-1]] = value
    return values


def load_all(folder: Path) -> dict[str, Values]:
    """Load all values of every preset, by its name."""
    return {name: load(folder / f"{name}.yaml") for name in names(folder)}


def apply(params: Path, overlay: Path, values: Values | None = None) -> list[str]:
    """Write base.yaml with a preset's own values into a params file.

    The sections that belong to the user's machine or data keep the file's values, except where the preset names them.

    Args:
        params: the file.
        overlay: the preset, beside base.yaml.
        values: further values, in nested sections.

    Returns:
        One line a change of the file: ``key.path: old -> new``.

    Raises:
        CfnsrError: there is no such preset or file, or the resulting file would be faulty; then it stays as it was.
    """
    base, own = _read(overlay)
    known = _leaves(base)
    kept = {
        path: value
        for path, value in _leaves(read_yaml(params)).items()
        if path in known and any(path[: len(section)] == section for section in _KEPT)
    }
    return _write(params, read_text(_base(overlay.parent)), kept | own | _leaves(values or {}))


def update(params: Path, values: Values) -> list[str]:
    """Write values, in nested sections, into a params file and keep all else in it.

    Returns:
        One line a change of the file: ``key.path: old -> new``.

    Raises:
        CfnsrError: there is no such key or file, or the resulting file would be faulty; then it stays as it was.
    """
    return _write(params, read_text(params), _leaves(values))


def _base(folder: Path) -> Path:
    path = folder / "base.yaml"
    if not path.is_file():
        raise CfnsrError(path, "is missing", "Run from the repository's root")
    return path


def _read(overlay: Path) -> tuple[Values, Leaves]:
    """Read the values of base.yaml, and a preset's own values."""
    known = names(overlay.parent)
    if overlay.stem not in known:
        raise CfnsrError(overlay, "there is no such preset", f"Choose one of: {', '.join(known)}")
    base, own = read_yaml(_base(overlay.parent)), _leaves(read_yaml(overlay))
    _check_known(overlay, own, _leaves(base), "base.yaml")
    return base, own


def _check_known(where: Path, leaves: Leaves, known: Leaves, file: str) -> None:
    """Check that a file has every key that is to be written into it."""
    unknown = sorted(".".join(path) for path in leaves.keys() - known.keys())
    if unknown:
        raise CfnsrError(where, f"{file} has no {', '.join(unknown)}", f"Correct the key, or add it to {file}")


def _leaves(values: dict[Any, Any], path: tuple[str, ...] = ()) -> Leaves:
    """Flatten nested sections: by key path, each value that is not a section."""
    leaves: Leaves = {}
    for key, value in values.items():
        here = (*path, str(key))
        leaves |= _leaves(value, here) if isinstance(value, dict) and value and here not in _WHOLE else {here: value}
    return leaves


def _write(params: Path, text: str, leaves: Leaves) -> list[str]:
    """Replace values in a YAML text, check the result, and write it; return what changed in the file."""
    before = _leaves(read_yaml(params))
    with writing(params), atomic_file(params) as partial:
        partial.write_text(text, encoding="utf-8")
        old = _leaves(read_yaml(partial))
        _check_known(params, leaves, old, params.name)
        changed = {path: value for path, value in leaves.items() if repr(value) != repr(old[path])}
        partial.write_text(_replace(text, changed), encoding="utf-8")
        try:
            config.load(partial)
        except CfnsrError as error:
            raise CfnsrError(params, f"would be faulty: {error.problem}", error.remedy) from error
        after = _leaves(read_yaml(partial))
        if any(repr(value) != repr(after.get(path)) for path, value in leaves.items()):
            raise CfnsrError(params, "has several keys on one line", "Write each key on a line of its own")
    texts = {path: [_text(leaves.get(path)) for leaves in (before, after)] for path in after | before}
    return [f"{'.'.join(path)}: {old} -> {new}" for path, (old, new) in texts.items() if old != new]


def _replace(text: str, leaves: Leaves) -> str:
    """Replace values in a YAML text, and leave every comment and all other lines as they are."""
    document, entries = YAML().load(text), []
    for path, value in leaves.items():
        section = document
        for key in path[:-1]:
            section = section[key]
        entries.append((*section.lc.key(path[-1]), path[-1], value))
    lines = text.splitlines()
    for first, column, key, value in sorted(entries, key=lambda entry: entry[0], reverse=True):
        end = first + 1
        while end < len(lines) and re.match(rf" {{{column}}}( |- )", lines[end]):  # the old value's own lines
            end += 1
        lines[first:end] = _entry(lines[first], column, key, value)
    return "\n".join(lines) + "\n"


def _entry(line: str, column: int, key: str, value: Any) -> list[str]:
    """Format a key with its new value; the comment of its line stays in its column."""
    yaml, text = YAML(), io.StringIO()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 10_000
    yaml.dump({key: value}, text)
    first, *others = [" " * column + new for new in text.getvalue().splitlines()]
    comment = _COMMENT.match(line)
    if comment:
        first = f"{first:{comment.start(1) - 1}} {comment[1]}"
    return [first, *others]


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return "(none)" if value is None else str(value)
