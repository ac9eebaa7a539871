"""The preset that a run's params are closest to, and what differs from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any


@dataclass(frozen=True)
class Provenance:
    """The params of a run, as differences from a preset.

    Attributes:
        preset: name of the closest preset.
        changed: each param that differs: key, the preset's value, the run's value.
    """

    preset: str
    changed: list[tuple[str, str, str]]


def provenance(params: dict[str, Any], presets: Mapping[str, dict[str, Any]]) -> Provenance:
    """Find the preset from which the fewest params differ; of equals, the first.

    Args:
        params: the run's sections that affect a result.
        presets: the full params of each preset, by name; sections that ``params`` lacks are not compared.
    """
    own = dict(_flatten(params))
    changed = {}
    for name, values in presets.items():
        sections = {section: values.get(section) for section in params}
        if "corpora" in sections:  # the run's is the only one that is read
            sections["corpora"] = {corpus: values["corpora"].get(corpus, {}) for corpus in params["corpora"]}
        preset = dict(_flatten(sections))
        changed[name] = [
            (key, _text(preset.get(key)), _text(own.get(key)))
            for key in sorted(own.keys() | preset.keys())
            if own.get(key) != preset.get(key)
        ]
    closest = min(changed, key=lambda name: len(changed[name]))
    return Provenance(closest, changed[closest])


def _flatten(values: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flatten(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _text(value: object) -> str:
    if value is None:
        return "–"
    return ", ".join(map(_item, value)) if isinstance(value, (list, tuple)) else _item(value)


def _item(value: object) -> str:
    """Format a value; of a path on this machine only the last part, since the page is made to be sent."""
    text = str(value)
    is_local = any(path(text).is_absolute() for path in (PurePosixPath, PureWindowsPath)) or text.startswith("~")
    return f"…/{PureWindowsPath(text).name}" if is_local else text
