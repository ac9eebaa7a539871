"""A trained network asked about windows: those of one modality, and all audiovisual systems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cfnsr.data import shards
from cfnsr.errors import CfnsrError
from cfnsr.evaluation import device as devices
from cfnsr.evaluation import module_features
from cfnsr.evaluation.missing_modality import replace_modality
from cfnsr.evaluation.predict import Normalise, evaluation_mode
from cfnsr.evaluation.reference import MeanFeatures, Reference
from cfnsr.inference import attention, faces
from cfnsr.inference.faces import Detect, FrameChoice, OpenFaceFaces, SeenFace
from cfnsr.inference.kinds import Inputs, Opinion
from cfnsr.inference.windows import Window, Windowing
from cfnsr.models import checkpoint
from cfnsr.models.types import Batch
from cfnsr.preprocessing import audio, extract
from cfnsr.runtime import sources

_AGAIN = "Train it again with this version of cfnsr"


class Network:
    """A network, with the preprocessing that its file describes; see ``Kind``.

    Args:
        path: a model in safetensors format.
        device: ``auto``, ``cpu`` or ``cuda``.
        reference: of its training clips, for the distance and for a missing modality.

    Raises:
        CfnsrError: it is no such file, or its clips cannot be prepared from its description.
    """

    def __init__(self, path: Path, device: str, reference: Reference | None) -> None:
        self._path, self._reference = path, reference
        self.spec = checkpoint.read_spec(path)
        self.labels = self.spec.labels
        self.preprocessing: Mapping[str, Any] = self.spec.preprocessing
        self._device = devices.pick(device)
        self._network: Any = checkpoint.load(path).to(self._device).requires_grad_(False)
        self._normalise = Normalise(**self.spec.pixels, device=self._device)
        self.modalities = list(self._network.modality_modules)
        strange = sorted({*self.spec.inputs} - {*shards.ARRAYS})
        if strange:
            problem = f"reads {', '.join(strange)}, and does not say by which frozen encoder they are made"
            raise CfnsrError(path, problem, "Choose another model: networks, or linear classifiers (run.probe)")
        self._sections = {name: self._section(name) for name in ("extract", *self._of_faces())}
        self._audio = dict(self._sections["extract"].get("audio", {}))
        self._video = {**self._sections["extract"].get("video", {}), "decoder": "pyav"}
        self.takes_csv = self._sections.get("landmarks", {}).get("source") == OpenFaceFaces.origin
        self.track = int(self._audio.get("track", 1))

    def _of_faces(self) -> list[str]:
        return ["crop", "landmarks"] if "video" in self.modalities else []

    def _section(self, name: str) -> Mapping[str, Any]:
        if name not in self.preprocessing:
            problem = f"its description lacks preprocessing.{name}, so that no clip can be prepared for it"
            raise CfnsrError(self._path, problem, _AGAIN)
        return self.preprocessing[name]

    def windowing(self, window_s: float | None, every_s: float | None) -> Windowing:
        """Return how a file is cut; by default into windows of what the network reads of a clip."""
        trained_s = float(self._sections["extract"]["window_s"])
        length_s = trained_s if window_s is None else window_s
        # Of a longer window the network reads what it reads of a clip of that length.
        offset_s = float(self._sections["extract"]["offset_s"]) if length_s > trained_s else 0.0
        return Windowing(length_s, length_s if every_s is None else every_s, offset_s)

    @property
    def frame_choice(self) -> FrameChoice | None:
        """Return which frames of a window it looks at."""
        if "video" not in self.modalities:
            return None
        return FrameChoice(int(self._video["frames"]), float(self._sections["extract"]["window_s"]))

    def detector(self) -> tuple[str, Detect]:
        """Return the detector that made the training clips' landmarks, or another; see ``Kind``."""
        return faces.detector(self._sections["landmarks"])

    def face(self, window: Window, seen: SeenFace | None) -> Inputs:
        """Prepare a face; see ``Kind``."""
        assert seen is not None
        source = sources.of(window.clip.path)
        assert source is not None
        part = {"offset_s": window.offset_s, "window_s": self._sections["extract"]["window_s"]}
        frames, _ = extract.face_crops(window.clip, source.timeline, seen.boxes.boxes, **part, **self._video)
        return {"frames": frames}

    def voice(self, window: Window) -> Inputs:
        """Prepare the sound; see ``Kind``."""
        source = sources.of(window.clip.path)
        assert source is not None
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
        """Predict windows, those with the same modalities together."""
        opinions: list[Opinion] = [Opinion()] * len(inputs)
        for lacking, numbers in self._by_missing(inputs):
            for number, opinion in zip(numbers, self._predict([inputs[n] for n in numbers], lacking), strict=True):
                opinions[number] = opinion
        return opinions

    def attention(self, inputs: Sequence[Inputs]) -> list[attention.Map | None]:
        """Compute attention over faces; see ``Attends``."""
        maps: list[attention.Map | None] = [None] * len(inputs)
        for lacking, numbers in self._by_missing(inputs):
            means = self._means() if lacking else {}
            if (
                "video" not in self.modalities
                or "video" in lacking
                or "frames" not in self.spec.inputs
                or means is None
            ):
                continue
            with ExitStack() as stack:
                for modality in lacking:
                    stack.enter_context(replace_modality(self._network, modality, means))
                batch = self._normalise(self._batch([inputs[number] for number in numbers]))
                module = attention.last_map(self._network.eval(), batch)
                for number, of_window in zip(numbers, attention.of_batch(self._network, batch, module), strict=True):
                    maps[number] = of_window
        return maps

    def _by_missing(self, inputs: Sequence[Inputs]) -> Iterator[tuple[tuple[str, ...], list[int]]]:
        """Yield the numbers of the windows that lack the same modalities."""
        arrays = {modality: shards.array_names([modality]) for modality in self.modalities}
        missing = [
            tuple(modality for modality, names in arrays.items() if not {*names} & {*of_window}) for of_window in inputs
        ]
        for lacking in sorted(set(missing)):
            yield lacking, [number for number, of_window in enumerate(missing) if of_window == lacking]

    def _predict(self, inputs: list[Inputs], lacking: tuple[str, ...]) -> list[Opinion]:
        means = self._means() if lacking else {}
        if means is None or len(lacking) == len(self.modalities):
            return [Opinion()] * len(inputs)
        modules = () if self._reference is None else self._reference.modules
        with ExitStack() as stack:
            stack.enter_context(evaluation_mode(self._network))
            for modality in lacking:
                stack.enter_context(replace_modality(self._network, modality, means))
            outputs = stack.enter_context(module_features.recorded(self._network, modules))
            prediction = self._network(self._normalise(self._batch(inputs)))
        results = {
            name: values.float().cpu().numpy()
            for name, values in prediction._asdict().items()
            if values is not None and name not in lacking
        }
        if modules and not lacking:
            results["vector"] = module_features.as_vectors(outputs, modules)
        return [Opinion(**{name: values[row] for name, values in results.items()}) for row in range(len(inputs))]

    def _batch(self, inputs: list[Inputs]) -> Batch:
        """Return a batch; what a missing modality would have given is replaced later, so that zeros stand for it."""
        arrays = {
            name: torch.from_numpy(
                np.stack([of_clip.get(name, np.zeros(shape, shards.ARRAYS[name].dtype)) for of_clip in inputs])
            )
            for name, shape in self.spec.inputs.items()
            if shards.ARRAYS[name].modality in self.modalities
        }
        return Batch(arrays, torch.zeros(len(inputs), dtype=torch.int64))

    def _means(self) -> MeanFeatures | None:
        """Return what replaces a missing modality's features; None if it is not known."""
        if hasattr(self._network, "combine"):
            return module_features.uniform_means(len(self.labels))
        modules = {name for names in self._network.modality_modules.values() for name in names}
        known = {} if self._reference is None else self._reference.means
        return known if modules <= {*known} else None
