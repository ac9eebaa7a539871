"""What all kinds of models have in common: how they are asked about a window, and what they answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32

from cfnsr.inference.faces import Detect, FrameChoice, SeenFace
from cfnsr.inference.windows import Window, Windowing

LogProbabilities = Float[np.ndarray, " class"]
Inputs = dict[str, np.ndarray]  # by array name, of one window; those of a missing modality are not there


@dataclass(frozen=True)
class Opinion:
    """What a model says of a window.

    Attributes:
        fused: of the whole model; None without an opinion.
        video, audio: each modality's own; None where the model has none.
        vector: the features, in the order of the model's reference; None if it has no reference.
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
        track: of sound that it hears, from 1.
        takes_csv: whether OpenFace's CSV beside a video is used: if the training clips' faces come from such files.
    """

    labels: list[str]
    modalities: list[str]
    preprocessing: Mapping[str, Any]
    track: int
    takes_csv: bool

    def windowing(self, window_s: float | None, every_s: float | None) -> Windowing:
        """Return how a file is cut into windows; None stands for what fits the model."""
        ...

    @property
    def frame_choice(self) -> FrameChoice | None:
        """Return which frames of a window it looks at; None if it looks at none."""
        ...

    def detector(self) -> tuple[str, Detect]:
        """Return the name and the function of the detector for videos without OpenFace's CSV.

        Raises:
            CfnsrError: no detector can be used.
        """
        ...

    def face(self, window: Window, seen: SeenFace | None) -> Inputs:
        """Prepare a face, None where the model looks at no frames.

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
        """Predict windows, each of which has one modality at least."""
        ...


@runtime_checkable
class Attends(Protocol):
    """A kind of model that also says where in the face its answer depends on the picture."""

    def attention(self, inputs: Sequence[Inputs]) -> list[Float32[np.ndarray, "height width"] | None]:
        """Return a map for each window, 0 to 1, over the middle one of its frames; None where there is none."""
        ...
