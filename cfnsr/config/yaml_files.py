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
    except OSError as error:
        raise CfnsrError(path, f"cannot be read ({error.strerror})", "Run from the repository's root") from error
    except UnicodeDecodeError as error:
        raise CfnsrError(path, f"is not YAML: {error}", "Correct the file") from error


def read_yaml(path: Path) -> dict[Any, Any]:
    """Read a YAML file without checking its values.

    Raises:
        CfnsrError: it cannot be read, or is not YAML.
    """
    try:
        values = YAML(typ="safe", pure=True).load(read_text(path)) or {}
    except (YAMLError, ValueError) as error:  # Python reads no number of more than 4,300 digits
        raise CfnsrError(path, f"is not YAML: {error}", "Correct the file") from error
    if not isinstance(values, dict):
        raise CfnsrError(path, "has no keys at its top level", "Correct the file")
    return values
