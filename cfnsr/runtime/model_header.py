"""Read what a saved model says of itself, without its weights and without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from cfnsr.errors import CfnsrError
from cfnsr.runtime import stored


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
