"""Predict windows with a linear classifier on a frozen encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from cfnsr.errors import CfnsrError
from cfnsr.features.fold import FrozenFeatures
from cfnsr.features.probe import Probe
from cfnsr.inference import window_encoder
from cfnsr.inference.faces import Detect, FrameChoice, SeenFace
from cfnsr.inference.kinds import Inputs, Opinion
from cfnsr.inference.window_encoder import WindowEncoder
from cfnsr.inference.windows import Window, Windowing
from cfnsr.runtime import model_header, stored

_FEATURES = "features"
_ARRAYS = ("mean", "scale", "weights", "bias")
_AGAIN = f"{stored.AGAIN}; or give another file"


class LinearClassifier:
    """A classifier and its encoder; see ``Kind``. It takes windows of any length.

    Args:
        path: a file of ``cfnsr.features.probe.save``.
        device: ``auto``, ``cpu`` or ``cuda``, for encoders that take one.

    Raises:
        CfnsrError: it is not such a file, or its encoder is missing or has other weights.
    """

    track = 1

    def __init__(self, path: Path, device: str) -> None:
        header, arrays = _read(path)
        if "options" not in header:
            raise CfnsrError(path, "does not say with which options its encoder ran", _AGAIN)
        self.labels = list(header["labels"])
        _check_shapes(path, len(self.labels), arrays)
        model_header.check_arrays(path, arrays)
        self.preprocessing: Mapping[str, Any] = header.get("preprocessing", {})
        self._encoder = WindowEncoder(
            path,
            header["extractor"],
            header["options"],
            device=device,
            preprocessing=self.preprocessing,
            again=_AGAIN,
        )
        self.modalities = [self._encoder.facts.modality]
        self.takes_csv = self._encoder.takes_csv
        self._probe = Probe(int(header["layer"]), float(header["c"]), **arrays)

    def windowing(self, window_s: float | None, every_s: float | None) -> Windowing:
        """Return how a file is cut into windows, by default of 3 seconds."""
        return window_encoder.windowing(window_s, every_s)

    @property
    def frame_choice(self) -> FrameChoice | None:
        """Return which frames of a window its encoder reads."""
        return self._encoder.frame_choice

    def detector(self) -> tuple[str, Detect]:
        """Return the encoder's own detector if it has one; see ``Kind``."""
        return self._encoder.detector()

    def face(self, window: Window, seen: SeenFace | None) -> Inputs:
        """Compute the encoder's features of a face; see ``Kind``."""
        return {_FEATURES: self._encoder.of_window(window, seen).means}

    def voice(self, window: Window) -> Inputs:
        """Compute the encoder's features of the sound; see ``Kind``."""
        return {_FEATURES: self._encoder.of_window(window, None).means}

    def opinions(self, inputs: Sequence[Inputs]) -> list[Opinion]:
        """Predict windows."""
        means = np.stack([of_window[_FEATURES] for of_window in inputs])
        predicted = self._probe.predict(FrozenFeatures(self._encoder.facts, means, np.zeros(len(means), np.int64)))
        vectors = means[:, self._probe.layer]
        (modality,) = self.modalities
        return [Opinion(row, vector=vector, **{modality: row}) for row, vector in zip(predicted, vectors, strict=True)]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    header = model_header.read(path)
    try:
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in _ARRAYS}
        for key in ("labels", "extractor", "layer", "c"):
            header[key]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CfnsrError(path, f"is no linear classifier ({error})", _AGAIN) from error
    return header, arrays


def _check_shapes(path: Path, classes: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Check that the arrays fit each other; of arrays without values, a small file may have very many."""
    width = arrays["mean"].size
    expected = {"mean": (width,), "scale": (width,), "weights": (classes, width), "bias": (classes,)}
    if not width or any(arrays[name].shape != shape for name, shape in expected.items()):
        raise CfnsrError(path, "its arrays do not fit each other and its labels", _AGAIN)
