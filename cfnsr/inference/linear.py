"""A linear classifier on a frozen encoder, asked about windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from cfnsr.errors import CfnsrError
from cfnsr.features import extractors
from cfnsr.features.extractors import blendshapes
from cfnsr.features.files import Facts
from cfnsr.features.fold import FrozenFeatures
from cfnsr.features.probe import Probe
from cfnsr.inference import faces
from cfnsr.inference.faces import Detect, FrameChoice, OpenFaceFaces, SeenFace
from cfnsr.inference.kinds import Inputs, Opinion
from cfnsr.inference.windows import Window, Windowing
from cfnsr.runtime import model_header, sources

_WINDOW_S = 3.0  # as long as a short sentence
_FEATURES = "features"
_ARRAYS = ("mean", "scale", "weights", "bias")
_AGAIN = "Run `dvc repro -f probe`"


class LinearClassifier:
    """A classifier and its encoder; see ``Kind``. It takes windows of any length.

    Args:
        path: a file of ``cfnsr.features.probe.save``.
        device: ``auto``, ``cpu`` or ``cuda``, for encoders that take one.

    Raises:
        CfnsrError: it is no such file, or its encoder is missing or has other weights.
    """

    track = 1

    def __init__(self, path: Path, device: str) -> None:
        header, arrays = _read(path)
        if "options" not in header:
            raise CfnsrError(path, "does not say with which options its encoder ran", _AGAIN)
        self.labels = list(header["labels"])
        self.preprocessing: Mapping[str, Any] = header.get("preprocessing", {})
        facts = header["extractor"]
        options = dict(header["options"])
        if "device" in options:
            options["device"] = device
        self._encoder = extractors.load(facts["name"], options, f"{path}: features")
        self._facts = Facts.of(facts)
        if asdict(self._encoder.facts) != asdict(self._facts):
            problem = f"its encoder {facts['name']} had other weights or another revision than the one installed"
            raise CfnsrError(path, problem, _AGAIN)
        self.modalities = [self._facts.modality]
        from_csv = self.preprocessing.get("landmarks", {}).get("source") == OpenFaceFaces.origin
        self.takes_csv = from_csv and not isinstance(self._encoder, blendshapes.Extractor)
        self._probe = Probe(int(header["layer"]), float(header["c"]), **arrays)

    def windowing(self, window_s: float | None, every_s: float | None) -> Windowing:
        """Return how a file is cut; by default into windows of three seconds."""
        length_s = _WINDOW_S if window_s is None else window_s
        return Windowing(length_s, length_s if every_s is None else every_s)

    @property
    def frame_choice(self) -> FrameChoice | None:
        """Return which frames of a window its encoder looks at."""
        count = getattr(self._encoder, "frames", 0)
        return FrameChoice(count, inf) if "video" in self.modalities and count else None

    def detector(self) -> tuple[str, Detect]:
        """Return the encoder's own detector, where it has one; see ``Kind``."""
        if isinstance(self._encoder, blendshapes.Extractor):
            return "face_mesh", self._encoder.detect
        return faces.detector(self.preprocessing.get("landmarks", {}))

    def face(self, window: Window, seen: SeenFace | None) -> Inputs:
        """Compute the encoder's features of a face; see ``Kind``."""
        if isinstance(self._encoder, blendshapes.Extractor) and seen is not None:
            source = sources.of(window.clip.path)
            assert source is not None
            of_person: Any = seen.faces
            return {_FEATURES: self._encoder.of_person(window.clip, of_person, source.timeline.duration_s).means}
        return self._features(window, seen)

    def voice(self, window: Window) -> Inputs:
        """Compute the encoder's features of the sound; see ``Kind``."""
        return self._features(window, None)

    def _features(self, window: Window, seen: SeenFace | None) -> Inputs:
        features = self._encoder.of_clip(window.clip, None if seen is None else seen.boxes)
        return {_FEATURES: features.means}

    def opinions(self, inputs: Sequence[Inputs]) -> list[Opinion]:
        """Predict windows."""
        means = np.stack([of_window[_FEATURES] for of_window in inputs])
        predicted = self._probe.predict(FrozenFeatures(self._facts, means, np.zeros(len(means), np.int64)))
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
