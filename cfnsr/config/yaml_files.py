"""Read YAML files: params.yaml and the presets."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from cfnsr.errors import CfnsrError

_MAX_DEPTH = 1000  # of sections; the library's half in C crashes at some ten thousand


def read_text(path: Path) -> str:
    """Read a YAML file as text.

    Raises:
        CfnsrError: it cannot be read, or is not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CfnsrError(path, f"cannot be read ({error.strerror})", "Run from the repository's root") from error
    except OSError as error:
        raise CfnsrError(path, f"cannot be read ({error.strerror})", _correct(path)) from error
    except UnicodeDecodeError as error:
        raise CfnsrError(path, f"is not YAML: {error}", _correct(path)) from error


def read_yaml(path: Path) -> dict[Any, Any]:
    """Read a YAML file without checking its values.

    Raises:
        CfnsrError: it cannot be read, or is not YAML.
    """
    text = read_text(path)
    try:
        values = _parse(text) or {}
    except (YAMLError, ValueError, RecursionError) as error:  # a date in month 13, a number of 5,000 digits
        raise CfnsrError(path, f"is not YAML: {error}", _correct(path)) from error
    if not isinstance(values, dict):
        raise CfnsrError(path, "has no keys at its top level", _correct(path))
    return values


def _parse(text: str) -> Any:
    """Parse by the library's half in C, five times as fast, or by its half in Python, whose errors say more."""
    if not _may_be_deep(text):
        with suppress(YAMLError):
            return YAML(typ="safe").load(text)
    return YAML(typ="safe", pure=True).load(text)


def _may_be_deep(text: str) -> bool:
    """Tell whether sections may be nested so deeply that the half in C ends in a crash.

    Each level takes a bracket of its own, or begins further to the right than the one around it.
    """
    return text.count("[") + text.count("{") > _MAX_DEPTH or max(map(len, text.splitlines()), default=0) > _MAX_DEPTH


def _correct(path: Path) -> str:
    return f"Correct the file, or start over with `git checkout {path}`"
