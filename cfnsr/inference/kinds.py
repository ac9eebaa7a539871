"""The interface of all kinds of models: the input and the prediction of a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32

from cfnsr.inference.faces import Detect, FrameChoice, SeenFace
from cfnsr.inference.windows import Window, Windowing

LogProbabilities = Float[np.ndarray, " class"]
Inputs = dict[str, np.ndarray]  # one window's arrays by name, without those of a missing modality


@dataclass(frozen=True)
class Opinion:
    """The prediction for one window, as log-probabilities.

    Attributes:
        fused: of the whole model; None if it cannot predict the window.
        video, audio: from each modality alone; None if the model does not compute it.
        vector: the features, in the order of the model's reference; None if there is no reference.
    """

    fused: LogProbabilities | None = None
    video: LogProbabilities | None = None
    audio: LogProbabilities | None = None
    vector: Float[np.ndarray, " feature"] | None = None


@runtime_checkable
class Kind(Protocol):
    """A kind of model.

    Attributes:
        labels: the emotions, in the order of their class index.
        modalities: those that it reads, ``video``, ``audio`` or both.
        preprocessing: how its training clips were prepared, as in ``ModelSpec``.
        track: number of the sound track that it reads, from 1.
        takes_csv: whether to use OpenFace's CSV beside a video, because the training clips' faces come from such files.
    """

    labels: list[str]
    modalities: list[str]
    preprocessing: Mapping[str, Any]
    track: int
    takes_csv: bool

    def windowing(self, window_s: float | None, every_s: float | None) -> Windowing:
        """Return how a file is cut into windows; both lengths in seconds, None for the model's default."""
        ...

    @property
    def frame_choice(self) -> FrameChoice | None:
        """Return which frames of a window it reads; None if it reads none."""
        ...

    def detector(self) -> tuple[str, Detect]:
        """Return the name and the function of the detector for videos without OpenFace's CSV.

        Raises:
            CfnsrError: no detector can be used.
        """
        ...

    def face(self, window: Window, seen: SeenFace | None) -> Inputs:
        """Prepare the face of a person; ``seen`` is None if the model finds faces itself.

        Raises:
            CfnsrError: it cannot be used.
        """
        ...

    def voice(self, window: Window) -> Inputs:
        """Prepare the sound.

        Raises:
            CfnsrError: there is none, or it cannot be used.
        """
        ...

    def opinions(self, inputs: Sequence[Inputs]) -> list[Opinion]:
        """Predict windows, each of which has at least one modality."""
        ...


@runtime_checkable
class Attends(Protocol):
    """A kind of model that also computes attention: where in the face its prediction depends on the picture."""

    def attention(self, inputs: Sequence[Inputs]) -> list[Float32[np.ndarray, "height width"] | None]:
        """Return a map for each window, 0 to 1, over the middle one of its frames; None without a map."""
        ...
