"""Read what a saved model says of itself, without its weights and without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from cfnsr.errors import CfnsrError
from cfnsr.runtime import stored
from cfnsr.runtime.checksum import of_arrays

if TYPE_CHECKING:
    import numpy as np


def checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the checksum of a model's arrays, for the key ``checksum`` of its description."""
    return of_arrays(arrays[name] for name in sorted(arrays))


def check_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Compare a model's arrays with the checksum in its description; files of earlier versions have none.

    Args:
        path: of the file.
        arrays: that were read from it, by name.

    Raises:
        CfnsrError: the arrays are damaged.
    """
    expected = read(path).get("checksum")
    if expected and checksum(arrays) != expected:
        raise CfnsrError(path, "its weights are damaged", stored.AGAIN)


def read(path: Path) -> dict[str, Any]:
    """Return the description in a model's file: a network's ``ModelSpec``, or that of a linear classifier.

    Raises:
        CfnsrError: the file is missing or damaged, or no model of cfnsr.
    """
    try:
        with safe_open(path, framework="np") as file:
            return dict(json.loads((file.metadata() or {})["cfnsr"]))
    except (OSError, SafetensorError) as error:
        raise CfnsrError(path, f"cannot be read as safetensors ({error})", stored.AGAIN) from error
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        remedy = "Give a model.safetensors written by cfnsr"
        raise CfnsrError(path, "is safetensors, but not a model of cfnsr", remedy) from error
