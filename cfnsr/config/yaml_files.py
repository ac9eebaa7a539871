"""Read YAML files: params.yaml and the presets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from cfnsr.errors import CfnsrError


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
    try:
        values = YAML(typ="safe", pure=True).load(read_text(path)) or {}
    except (YAMLError, ValueError, RecursionError) as error:  # a date in month 13, a number of 5,000 digits
        raise CfnsrError(path, f"is not YAML: {error}", _correct(path)) from error
    if not isinstance(values, dict):
        raise CfnsrError(path, "has no keys at its top level", _correct(path))
    return values


def _correct(path: Path) -> str:
    return f"Correct the file, or start over with `git checkout {path}`"
