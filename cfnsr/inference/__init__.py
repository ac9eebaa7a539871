"""Predictions of trained models for any recording: neither params.yaml nor DVC is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cfnsr.inference.model import Model


def load(name: str | Path, *, device: str = "auto") -> Model:
    """Load a trained model.

    Args:
        name: ``best``, the best model of this workspace; the path of a model's file (``.onnx`` too), or of its
            folder; ``REPOSITORY:ARTIFACT`` or ``REPOSITORY:ARTIFACT@REVISION``, a DVC artifact, which is fetched; or
            the name of a model that comes with cfnsr.
        device: ``auto`` (the GPU if there is one), ``cpu`` or ``cuda``.

    Raises:
        CfnsrError: there is no such model, it cannot be read, or a package that it needs is missing.
    """
    from cfnsr.inference import names  # torch is imported when a model needs it

    return names.load(name, device)
