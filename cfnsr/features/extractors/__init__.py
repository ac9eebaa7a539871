"""Frozen encoders, one file each.

An extractor is a file of this package with a class ``Extractor``, whose keyword-only parameters are its options.
``features.<name>.extractor`` in params.yaml gives the file's name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.features.files import ClipFeatures, Facts
from cfnsr.preprocessing import container
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.runtime import registry


class FrozenEncoder(ABC):
    """A frozen encoder.

    Attributes:
        facts: what it is.
    """

    facts: Facts

    @abstractmethod
    def of_clip(self, clip: Clip, boxes: FaceBoxes | None) -> ClipFeatures:
        """Compute the features of one clip, which do not depend on other clips.

        Args:
            clip: the clip.
            boxes: the face boxes of each of its frames; None for sound alone.

        Raises:
            CfnsrError: the clip cannot be used.
        """

    def features(
        self, clips: Sequence[Clip], boxes: Mapping[str, FaceBoxes]
    ) -> Iterator[tuple[Clip, ClipFeatures | CfnsrError]]:
        """Yield each clip with its features, or with why it has none; in any order.

        Args:
            clips: of one speaker.
            boxes: by clip id; empty for sound alone.
        """
        for clip in clips:
            try:
                with container.one_clip(clip.path):
                    features = self.of_clip(clip, boxes.get(clip.id))
            except CfnsrError as error:
                yield clip, error
            else:
                yield clip, features


def load(name: str, options: Mapping[str, Any], where: str) -> FrozenEncoder:
    """Return an extractor.

    Args:
        name: of a file of this package.
        options: its own.
        where: the section's path in params.yaml, for errors.

    Raises:
        CfnsrError: there is no such extractor, an option is unknown or of the wrong type, a package or the weights are
            missing, or the weights are other ones.
    """
    cls = registry.load(__name__, name, where=f"{where}.extractor", kind="extractor").Extractor
    registry.check_options(cls, options, f"{where}.options")
    return cls(**options)


def pick_device(name: str, where: str) -> str:
    """Return the device of a name; ``auto`` is the GPU if there is one.

    Args:
        name: ``auto``, ``cpu`` or ``cuda``.
        where: the extractor, for errors.

    Raises:
        CfnsrError: ``cuda`` is given and there is no GPU.
    """
    import torch  # here: extractors without a network need no torch

    if name == "cuda" and not torch.cuda.is_available():
        raise CfnsrError(f"{where}: device", "is cuda, and torch finds no GPU", "Set it to auto or cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return "cpu"
    torch.backends.cudnn.allow_tf32 = False  # fp32 must not be TF32
    return "cuda"


def said_to_be_seen(trained_on: Sequence[str]) -> tuple[str, ...] | None:
    """Return the option ``trained_on`` as ``Facts`` have it: None for ``["unknown"]``."""
    return None if list(trained_on) == ["unknown"] else tuple(trained_on)


def statistics(frames: Float64[np.ndarray, "frame value"]) -> Float32[np.ndarray, "1 width"]:
    """Return mean, standard deviation and 90th percentile of each value over a clip's frames, as one layer.

    The 90th percentile tells an expression that lasts a tenth of the clip, and not one wrong frame.
    """
    parts = [frames.mean(axis=0), frames.std(axis=0), np.percentile(frames, 90, axis=0)]
    return np.concatenate(parts).astype(np.float32)[None]
