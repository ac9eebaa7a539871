"""Base class of networks: prepare windows as the network's description says, and predict them in batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cfnsr.data import shards
from cfnsr.errors import CfnsrError
from cfnsr.inference import faces
from cfnsr.inference.faces import Detect, FrameChoice, OpenFaceFaces, SeenFace
from cfnsr.inference.kinds import Inputs, Opinion
from cfnsr.inference.windows import Window, Windowing
from cfnsr.models.spec import ModelSpec
from cfnsr.preprocessing import audio, extract
from cfnsr.runtime import sources

SEQUENCE = "_sequence"  # ending of the names of arrays of a frozen encoder's output over time
_AGAIN = "Train it again with this version of cfnsr"
_MOST_VALUES = 2**27  # of an array that is computed from one window


class PreparedBySpec(ABC):
    """A network, with the preprocessing that its file describes; see ``Kind``.

    Args:
        path: of the network's file, for errors.
        spec: its description.
        modalities: those that it reads.
        device: ``auto``, ``cpu`` or ``cuda``, for frozen encoders that prepare windows.

    Raises:
        CfnsrError: its description lacks the preprocessing.
    """

    def __init__(self, path: Path, spec: ModelSpec, modalities: Iterable[str], device: str) -> None:
        self._path, self.spec, self._device = path, spec, device
        self.labels = spec.labels
        self.preprocessing: Mapping[str, Any] = spec.preprocessing
        self.modalities = list(modalities)
        self.track, self.takes_csv = 1, False
        self._read_preprocessing()

    def _read_preprocessing(self) -> None:
        """Read the preprocessing of windows from the description."""
        self._sections = {name: self._section(name) for name in ("extract", *self._of_faces())}
        self._trained_s, self._offset_s = (float(self._sections["extract"][name]) for name in ("window_s", "offset_s"))
        self._audio = dict(self._sections["extract"].get("audio", {}))
        self._video = {**self._sections["extract"].get("video", {}), "decoder": "pyav"}
        self.takes_csv = self._sections.get("landmarks", {}).get("source") == OpenFaceFaces.origin
        self.track = int(self._audio.get("track", 1))
        self._check_amount()

    def _check_amount(self) -> None:
        """Refuse a description by which one window would fill the memory; a file may come from anyone."""
        frames, side_px = (int(self._video.get(key, 1)) for key in ("frames", "side_px"))
        mels, n_fft = (int(self._audio.get(key, 1)) for key in ("mels", "n_fft"))
        length_s = sum(float(self._sections["extract"][key]) for key in ("offset_s", "window_s"))
        samples = length_s * float(self._audio.get("rate_hz", 1))
        steps = samples / max(1, int(self._audio.get("hop", 1)))
        most = max(frames * side_px**2 * 3, samples, steps * max(mels, n_fft), mels * n_fft)
        if not most <= _MOST_VALUES:
            problem = f"its description asks for too much: an array of {most:.3g} values from one window"
            raise CfnsrError(self._path, problem, "Give another file")

    def _of_faces(self) -> list[str]:
        return ["crop", "landmarks"] if "video" in self.modalities else []

    def _section(self, name: str) -> Mapping[str, Any]:
        if name not in self.preprocessing:
            problem = f"its description lacks preprocessing.{name}, so that no clip can be prepared for it"
            raise CfnsrError(self._path, problem, _AGAIN)
        return self.preprocessing[name]

    def windowing(self, window_s: float | None, every_s: float | None) -> Windowing:
        """Return how a file is cut into windows, by default of the length that the network reads."""
        length_s = self._trained_s if window_s is None else window_s
        # From a longer window the network reads the same part as from a clip of that length.
        offset_s = self._offset_s if length_s > self._trained_s else 0.0
        return Windowing(length_s, length_s if every_s is None else every_s, offset_s)

    @property
    def frame_choice(self) -> FrameChoice | None:
        """Return which frames of a window it reads."""
        if "video" not in self.modalities:
            return None
        return FrameChoice(int(self._video["frames"]), float(self._sections["extract"]["window_s"]))

    def detector(self) -> tuple[str, Detect]:
        """Return the detector of the training clips' landmarks if it is installed, else another; see ``Kind``."""
        return faces.detector(self._sections["landmarks"])

    def face(self, window: Window, seen: SeenFace | None) -> Inputs:
        """Prepare a face; see ``Kind``."""
        assert seen is not None
        source = sources.opened(window.clip.path)
        part = {"offset_s": window.offset_s, "window_s": self._sections["extract"]["window_s"]}
        frames, _ = extract.face_crops(window.clip, source.timeline, seen.boxes.boxes, **part, **self._video)
        return {"frames": frames}

    def voice(self, window: Window) -> Inputs:
        """Prepare the sound; see ``Kind``."""
        source = sources.opened(window.clip.path)
        clip = window.clip
        arrays, _ = audio.sound(
            clip.path,
            source.timeline,
            offset_s=clip.start_s + window.offset_s,
            window_s=self._sections["extract"]["window_s"],
            end_s=clip.end_s,
            **self._audio,
        )
        return arrays

    def opinions(self, inputs: Sequence[Inputs]) -> list[Opinion]:
        """Predict windows; those that lack the same modalities form a batch."""
        opinions: list[Opinion] = [Opinion()] * len(inputs)
        for lacking, numbers in self._by_missing(inputs):
            results = self._predict(self._stacked([inputs[number] for number in numbers]), lacking)
            for row, number in enumerate(numbers):
                opinions[number] = Opinion(**{name: values[row] for name, values in results.items()})
        return opinions

    def _by_missing(self, inputs: Sequence[Inputs]) -> Iterator[tuple[tuple[str, ...], list[int]]]:
        """Yield the modalities that windows lack, and the numbers of these windows, except those that lack all."""
        arrays = {modality: self._arrays(modality) for modality in self.modalities}
        missing = [
            tuple(modality for modality, names in arrays.items() if not {*names} & {*of_window}) for of_window in inputs
        ]
        for lacking in sorted(set(missing)):
            if len(lacking) < len(self.modalities):
                yield lacking, [number for number, of_window in enumerate(missing) if of_window == lacking]

    def _arrays(self, modality: str) -> list[str]:
        """List the arrays of a modality."""
        return [name for name in self.spec.inputs if modality_of(name) == modality]

    def _stacked(self, inputs: list[Inputs]) -> Inputs:
        """Stack the arrays of windows along a new first dimension; zeros replace a missing modality."""
        return {
            name: np.stack(
                [of_window.get(name, np.zeros(self.spec.inputs[name], _dtype(name))) for of_window in inputs]
            )
            for modality in self.modalities
            for name in self._arrays(modality)
        }

    @abstractmethod
    def _predict(self, arrays: Inputs, lacking: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Predict windows.

        Args:
            arrays: by name; the first dimension is the window.
            lacking: the modalities whose arrays are zeros; not all of them.

        Returns:
            Fields of ``Opinion`` by name, as far as the network computes them; the first dimension is the window.
        """


def modality_of(array: str) -> str:
    """Return the modality of an array of the shards, or of a frozen encoder's sequences."""
    return shards.ARRAYS[array].modality if array in shards.ARRAYS else array.removesuffix(SEQUENCE)


def _dtype(array: str) -> type[np.generic]:
    return shards.ARRAYS[array].dtype if array in shards.ARRAYS else np.float32
