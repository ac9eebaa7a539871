"""The versions of the libraries that decide numbers: the same code gives others with another torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata

_NAMES = ("av", "numpy", "scikit-learn", "scipy", "torch", "torchaudio")


def versions() -> dict[str, str]:
    """Return the installed version of each library, by its name."""
    return {name: metadata.version(name) for name in _NAMES}


def listed(made_with: Iterable[Mapping[str, str]]) -> str:
    """List what several outputs were made with: ``numpy 2.3.0, torch 2.10.0 and 2.11.0``.

    Args:
        made_with: versions by library, of each output; one that does not say has ``unknown`` ones.
    """
    outputs = list(made_with)
    names = {name for libraries in outputs for name in libraries}
    known = {name: {libraries.get(name, "unknown") for libraries in outputs} for name in names}
    return ", ".join(f"{name} {' and '.join(sorted(known[name]))}" for name in sorted(known))


def differing(lists: Sequence[str]) -> list[str]:
    """Return, for each list of ``listed``, the entries that another one lacks or that name several versions."""
    entries = [text.split(", ") for text in lists]
    common = {entry for entry in set.intersection(*map(set, entries)) if " and " not in entry}
    return [", ".join(entry for entry in part if entry not in common) for part in entries]
