"""How a run's numbers differ from those of the preset nearest to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_SHIPPED = "studio"  # names every key; the others, those in which they differ from it


@dataclass(frozen=True)
class Origin:
    """What a run was made of.

    Attributes:
        preset: the nearest one.
        changed: what differs from it: key, its value, the run's.
    """

    preset: str
    changed: list[tuple[str, str, str]]


def origin(params: dict[str, Any], presets: Path) -> Origin:
    """The nearest preset, and each number that differs.

    Args:
        params: the run's, nested, without those that reach no result.
        presets: folder of the overlays.
    """
    own, corpus = dict(_flat(params, "")), params["corpus"]
    shipped = _read(presets / f"{_SHIPPED}.yaml")
    found = {}
    for path in sorted(presets.glob("*.yaml")):
        values = _merged(shipped, _read(path))
        values["corpora"] = {corpus: values["corpora"].get(corpus, {})}
        theirs = dict(_flat(values, ""))
        keys = sorted(own.keys() | theirs.keys())
        found[path.stem] = [
            (key, _told(theirs.get(key)), _told(own.get(key))) for key in keys if own.get(key) != theirs.get(key)
        ]
    nearest = min(found, key=lambda name: (len(found[name]), name != _SHIPPED, name))
    return Origin(nearest, found[nearest])


def _read(path: Path) -> dict[str, Any]:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def _merged(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overlay.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict) and key != "folds":
            merged[key] = _merged(merged[key], value)
        else:
            merged[key] = value
    return merged


def _flat(values: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _told(value: object) -> str:
    if value is None:
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
