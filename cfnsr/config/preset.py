"""Merge a preset into params.yaml: comments stay, and what changed is told."""

from __future__ import annotations

import copy
import io
import re
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.scalarstring import SingleQuotedScalarString
from ruamel.yaml.tokens import CommentToken

from cfnsr.errors import CfnsrError
from cfnsr.runtime.outputs import atomic_file


def names(folder: Path) -> list[str]:
    """The presets in a folder.

    Raises:
        CfnsrError: it is no folder.
    """
    if not folder.is_dir():
        raise CfnsrError(folder, "is no folder", "Run from the repository's root")
    return sorted(path.stem for path in folder.glob("*.yaml"))


def meaning(overlay: Path) -> str:
    """What a preset is for: the beginning of the comment at its top."""
    lines = takewhile(lambda line: line.startswith("#"), overlay.read_text(encoding="utf-8").splitlines())
    return re.split(r"[:;.] |[:;.]$", " ".join(line.removeprefix("#").strip() for line in lines))[0]


def apply(params: Path, overlay: Path, check: Callable[[Path], object]) -> list[str]:
    """Merge an overlay into a params file, in place.

    Sections merge key by key; numbers, words, lists and the folds are replaced; an empty value (``key:``) deletes the
    key.

    Args:
        params: the file.
        overlay: the preset.
        check: is given the merged file, and raises where it is faulty, before it replaces the old one.

    Returns:
        One line a change: ``key.path: old -> new``.

    Raises:
        CfnsrError: there is no such preset or params file, the preset deletes or replaces what it cannot without
            losing a comment, or the merged file is faulty.
    """
    if not overlay.is_file():
        there = ", ".join(names(overlay.parent)) or "none"
        raise CfnsrError(overlay, "there is no such preset", f"There are {there}")
    return _merged(params, _parser().load(overlay.read_text(encoding="utf-8")), check)


def corpus_of(overlay: Path) -> str | None:
    """The corpus that a preset sets; none where it sets none, or is not there."""
    return _parser().load(overlay.read_text(encoding="utf-8")).get("corpus") if overlay.is_file() else None


def merge(params: Path, changes: dict[str, Any], check: Callable[[Path], object]) -> list[str]:
    """Merge nested values into a params file, as ``apply`` does with an overlay's."""
    return _merged(params, _as_yaml(changes), check)


def _parser() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 120
    return yaml


def _merged(params: Path, overlay: CommentedMap, check: Callable[[Path], object]) -> list[str]:
    if not params.is_file():
        raise CfnsrError(params, "is missing", "Run from the repository's root")
    yaml = _parser()
    values = yaml.load(params.read_text(encoding="utf-8"))
    told = list(_merge(values, overlay, ""))
    if told:
        text = io.StringIO()
        yaml.dump(values, text)
        with atomic_file(params) as partial:
            partial.write_text(text.getvalue(), encoding="utf-8")
            try:
                check(partial)
            except CfnsrError as error:
                raise CfnsrError(params, f"as it would be: {error.problem}", error.remedy) from error
    return told


def _as_yaml(value: Any) -> Any:
    """Sections and lists as the parser has them; words in quotes, as some look like numbers."""
    if isinstance(value, dict):
        return CommentedMap({key: _as_yaml(one) for key, one in value.items()})
    if isinstance(value, list):
        return CommentedSeq(_as_yaml(one) for one in value)
    return SingleQuotedScalarString(value) if isinstance(value, str) else value


# Sections whose keys are a list's: those of before would be left among the new ones.
_WHOLE = frozenset({"folds"})


def _merge(base: CommentedMap, overlay: CommentedMap, path: str) -> Iterator[str]:
    # The parser hangs the lines between two sections on the last leaf before them. A leaf that goes or comes at
    # the end of a section must not take them along, so they are lifted off and laid back.
    between = _lift(base)
    for key, new in overlay.items():
        old = base.get(key)
        here = f"{path}{key}"
        if new is None:
            if key in base:
                keys = list(base)
                if keys[0] == key or _is_scalar(base[keys[keys.index(key) - 1]]):
                    raise CfnsrError(
                        f"preset, {here}",
                        "is the first key, or follows a single value",
                        "Only a section or list after another can be deleted",
                    )
                below = _lift(old)
                del base[key]
                _lay(base[keys[keys.index(key) - 1]], below)
                yield f"{here}: {_plain(old)} -> (removed)"
        elif isinstance(new, CommentedMap) and isinstance(old, CommentedMap) and here not in _WHOLE:
            yield from _merge(old, new, f"{here}.")
        elif key in base and _is_scalar(old) != _is_scalar(new):
            raise CfnsrError(f"preset, {here}", "puts a section where a value was, or the other way round", "Mend it")
        elif old != new or type(old) is not type(new):
            below = _lift(old)
            base[key] = copy.deepcopy(new)
            _lay(base[key], below)
            yield f"{here}: {_plain(old)} -> {_plain(new)}"
    _lay(base, between)


def _is_scalar(value: object) -> bool:
    return not isinstance(value, (CommentedMap, CommentedSeq))


def _leaf(node: object) -> tuple[dict[Any, Any], Any, int] | None:
    """Where the parser keeps the comment after a node's last leaf: a table, its key, and the place in its row."""
    while isinstance(node, (CommentedMap, CommentedSeq)) and node:
        last = next(reversed(node)) if isinstance(node, CommentedMap) else len(node) - 1
        child = node[last]
        if not (isinstance(child, (CommentedMap, CommentedSeq)) and child):
            return node.ca.items, last, 2 if isinstance(node, CommentedMap) else 0
        node = child
    return None


def _lift(node: object) -> str:
    """Take off the lines below a node's last leaf; a comment on the leaf's own line stays."""
    place = _leaf(node)
    if place is None:
        return ""
    table, key, slot = place
    token = table[key][slot] if key in table else None
    if token is None:
        return ""
    own, newline, below = token.value.partition("\n")
    if own:
        token.value = own + newline
    else:
        table[key][slot] = None
    return below if own else newline + below


def _lay(node: object, lines: str) -> None:
    """Lay lines below a node's last leaf."""
    place = _leaf(node)
    if place is None or not lines:
        return
    table, key, slot = place
    row = table.setdefault(key, [None, None, None, None])
    while len(row) <= slot:
        row.append(None)
    if row[slot] is None:
        row[slot] = CommentToken(lines if lines.startswith("\n") else "\n" + lines, CommentMark(0), None)
    else:
        row[slot].value = row[slot].value + lines.removeprefix("\n" if not row[slot].value.strip("\n") else "")


def _plain(value: object) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(one)}" for key, one in value.items()) + "}"
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list) else str(value)
