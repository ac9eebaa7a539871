"""Small pictures of a window for pages: its middle frame, the face as the model reads it, and the attention map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from cfnsr.errors import CfnsrError
from cfnsr.inference.faces import FrameChoice
from cfnsr.inference.kinds import Attends, Inputs
from cfnsr.inference.windows import Window
from cfnsr.preprocessing import video
from cfnsr.preprocessing.display import Frame
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.runtime import sources

_MAX_PICTURES = 40  # windows of a recording that have a picture, so that ten minutes take a few megabytes
_THUMBNAIL_PX = 160  # width of a thumbnail
_FACE_PX = 112  # side of a crop
_FRAMES = "frames"
_MIDDLE = FrameChoice(3, np.inf)

Image = UInt8[np.ndarray, "height width 3"]
Thumbnail = UInt8[np.ndarray, "tall wide 3"]
Attention = Float32[np.ndarray, "height width"]


@dataclass(frozen=True)
class Picture:
    """The pictures of a window, RGB.

    Attributes:
        frame: thumbnail of the frame in its middle, at most 160 pixels wide.
        scale: pixels of the thumbnail for one pixel of the picture as shown.
        face: the middle one of the crops that the model reads, at most 112 pixels wide; None without a face.
        attention: how much the prediction depends on each pixel of ``face``, 0 to 1; None without a map.
    """

    frame: Thumbnail
    scale: float
    face: Image | None = None
    attention: Attention | None = None

    @property
    def has_face(self) -> bool:
        """Return whether there is a crop of a face."""
        return self.face is not None

    @classmethod
    def of(cls, image: Image) -> Picture:
        """Make the thumbnail of a picture."""
        scale = min(_THUMBNAIL_PX / image.shape[1], 1.0)
        size = (round(image.shape[1] * scale), max(round(image.shape[0] * scale), 1))
        return cls(cv2.resize(image, size, interpolation=cv2.INTER_AREA), scale)

    def with_face(self, face: Image) -> Picture:
        """Return the picture with a crop of a face."""
        return replace(self, face=_at_most(face, _FACE_PX))

    def with_attention(self, attention: Attention | None) -> Picture:
        """Return the picture with an attention map of the crop's size."""
        return self if attention is None else replace(self, attention=_at_most(attention, _FACE_PX))


class Pictures:
    """Makes the pictures of a recording that is open (``cfnsr.runtime.sources``) and has frames.

    Args:
        windows: all of the recording; at most 40 of them, evenly spaced, get pictures.
    """

    def __init__(self, windows: Sequence[Window]) -> None:
        numbers = np.linspace(0, len(windows) - 1, min(_MAX_PICTURES, len(windows))).round().astype(int)
        frames = {windows[number]: _MIDDLE.of(windows[number]) for number in numbers}
        self._middles = {window: of_window[1] for window, of_window in frames.items() if of_window}

    def frames(self, window: Window) -> list[int]:
        """Return the number of the frame that a window needs, if any."""
        return [self._middles[window]] if window in self._middles else []

    def of(self, window: Window) -> Picture | None:
        """Make a window's thumbnail; None if it has no picture, or its frame cannot be decoded."""
        try:
            return Picture.of(self._frame(window).image) if window in self._middles else None
        except CfnsrError:
            return None

    def with_face(self, shown: Picture, window: Window, boxes: FaceBoxes | None, inputs: Inputs) -> Picture:
        """Add a face: the model's input frame; if the model reads none, the middle frame cropped by its box."""
        if _FRAMES in inputs:
            return shown.with_face(inputs[_FRAMES][len(inputs[_FRAMES]) // 2])
        if boxes is None:
            return shown
        source = sources.opened(window.clip.path)
        number = self._middles[window] - video.of_clip(window.clip, source.timeline).start
        return shown.with_face(self._frame(window).crop(boxes.boxes[number], _FACE_PX))

    def _frame(self, window: Window) -> Frame:
        source = sources.opened(window.clip.path)
        (frame,) = source.frames([self._middles[window]])
        return frame


def with_attention(kind: object, pictures: Sequence[Picture | None], inputs: Sequence[Inputs]) -> list[Picture | None]:
    """Add attention maps to the pictures that have a face, if the model computes them.

    Args:
        kind: the model.
        pictures: of windows.
        inputs: of the same windows.
    """
    with_face = [of_window for picture, of_window in zip(pictures, inputs, strict=True) if picture and picture.has_face]
    if not with_face or not isinstance(kind, Attends):
        return [*pictures]
    maps = iter(kind.attention(with_face))
    return [picture.with_attention(next(maps)) if picture and picture.has_face else picture for picture in pictures]


def _at_most(image: np.ndarray, side_px: int) -> np.ndarray:
    if image.shape[0] <= side_px:
        return image
    return cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_AREA)
