"""Compute a frozen encoder's features of windows, as they were computed of the training clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from cfnsr.errors import CfnsrError
from cfnsr.features import extractors
from cfnsr.features.extractors import blendshapes
from cfnsr.features.files import ClipFeatures, Facts
from cfnsr.inference import faces
from cfnsr.inference.faces import Detect, FrameChoice, OpenFaceFaces, SeenFace
from cfnsr.inference.windows import Window, Windowing
from cfnsr.runtime import sources

_WINDOW_S = 3.0  # about one short sentence; encoders accept any length


class WindowEncoder:
    """A frozen encoder.

    Args:
        path: of the model that reads its output, for errors.
        facts: of the encoder that the model was trained with (``Facts`` as JSON).
        options: of the encoder.
        device: ``auto``, ``cpu`` or ``cuda``, for encoders that take one.
        preprocessing: how the model's training clips were prepared.
        again: remedy to print if the installed encoder is another one.

    Attributes:
        facts: what the encoder is, and where its weights come from.
        takes_csv: see ``Kind``.

    Raises:
        CfnsrError: a package or the weights are missing, or the weights are not those of training.
    """

    def __init__(
        self,
        path: Path,
        facts: Mapping[str, Any],
        options: Mapping[str, Any],
        *,
        device: str,
        preprocessing: Mapping[str, Any],
        again: str,
    ) -> None:
        chosen = {**options, "device": device} if "device" in options else options
        self._encoder = extractors.load(facts["name"], chosen, f"{path}: features")
        self.facts = TypeAdapter(Facts).validate_python(facts, strict=False)
        if asdict(self._encoder.facts) != asdict(self.facts):
            problem = f"its encoder {facts['name']} had other weights or another revision than the one installed"
            raise CfnsrError(path, problem, again)
        self._landmarks = preprocessing.get("landmarks", {})
        from_csv = self._landmarks.get("source") == OpenFaceFaces.origin
        self.takes_csv = from_csv and not isinstance(self._encoder, blendshapes.Extractor)

    @property
    def frame_choice(self) -> FrameChoice | None:
        """Return which frames of a window it reads; None if it reads none, or chooses them itself."""
        count = getattr(self._encoder, "frames", 0)
        return FrameChoice(count, inf) if self.facts.modality == "video" and count else None

    def detector(self) -> tuple[str, Detect]:
        """Return the encoder's own face detector if it has one, else the training landmarks' one; see ``Kind``."""
        if isinstance(self._encoder, blendshapes.Extractor):
            return "face_mesh", self._encoder.detect
        return faces.detector(self._landmarks)

    def of_window(self, window: Window, seen: SeenFace | None) -> ClipFeatures:
        """Compute the features of a window.

        Args:
            window: the window.
            seen: the person whose face to use; None for sound.

        Raises:
            CfnsrError: the window cannot be used.
        """
        if isinstance(self._encoder, blendshapes.Extractor) and seen is not None:
            source = sources.opened(window.clip.path)
            of_person: Any = seen.faces
            return self._encoder.of_person(window.clip, of_person, source.timeline.duration_s)
        return self._encoder.of_clip(window.clip, None if seen is None else seen.boxes)


def windowing(window_s: float | None, every_s: float | None) -> Windowing:
    """Return how a file is cut into windows for encoders, which accept any length; by default 3 seconds."""
    length_s = _WINDOW_S if window_s is None else window_s
    return Windowing(length_s, length_s if every_s is None else every_s)
