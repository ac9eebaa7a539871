"""Show a decoded frame as a player does: square pixels, upright, one size for the whole clip."""

from __future__ import annotations

from dataclasses import dataclass

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type
from jaxtyping import Int64, UInt8

from cfnsr.errors import CfnsrError

_ONE = 1 << 16  # display matrices are in 16.16 fixed point
_TOLERANCE = 0.02  # of a matrix's cosines: one degree


@dataclass(frozen=True)
class Display:
    """The size of a clip's frames before they are turned.

    Attributes:
        stored: width and height in the file's pixels, which need not be square.
        width, height: in square pixels.
    """

    stored: tuple[int, int]
    width: int
    height: int

    @classmethod
    def of(cls, stream: av.VideoStream) -> Display:
        """Read the size from a stream's header, before a frame is decoded."""
        context = stream.codec_context
        ratio = float(stream.sample_aspect_ratio or 1)
        return cls((context.width, context.height), max(round(context.width * ratio), 1), context.height)

    def show(self, frame: av.VideoFrame, where: object) -> tuple[UInt8[np.ndarray, "height width 3"], bool]:
        """Convert a frame to RGB.

        Args:
            frame: as decoded.
            where: the clip, for the error.

        Returns:
            The picture, and whether it had another size than the clip's first frame.

        Raises:
            CfnsrError: it is turned by other than quarter turns.
        """
        image = frame.to_ndarray(format="rgb24")
        if (frame.width, frame.height) != (self.width, self.height):
            method = cv2.INTER_AREA if frame.width > self.width else cv2.INTER_LINEAR
            image = cv2.resize(image, (self.width, self.height), interpolation=method)
        return _turned(image, _matrix(frame), where), (frame.width, frame.height) != self.stored


def _matrix(frame: av.VideoFrame) -> Int64[np.ndarray, "2 2"] | None:
    """Return the matrix that maps a stored point (x, y) to a shown one, of -1, 0 and 1; None if it is not of these."""
    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return np.eye(2, dtype=np.int64)
    # Rows of (a b u), (c d v), (x y w): x' = a x + c y, y' = b x + d y. Only turns and mirrors matter, not the scale.
    matrix = np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2].T / _ONE
    matrix = matrix / (np.abs(matrix).max() or 1)
    exact = np.round(matrix).astype(np.int64)
    is_turn = np.abs(matrix - exact).max() < _TOLERANCE and (np.abs(exact).sum(axis=0) == 1).all()
    return exact if is_turn and (np.abs(exact).sum(axis=1) == 1).all() else None


def _turned(
    image: UInt8[np.ndarray, "height width 3"], matrix: Int64[np.ndarray, "2 2"] | None, where: object
) -> UInt8[np.ndarray, "height2 width2 3"]:
    """Turn and mirror a picture by the file's display matrix: telephones store rotated or mirrored frames."""
    if matrix is None:
        raise CfnsrError(where, "is turned by other than quarter turns", "Convert it: only quarter turns can be undone")
    if matrix[0, 1]:  # x and y change places
        image = image.transpose(1, 0, 2)
    if matrix[0].sum() < 0:
        image = image[:, ::-1]
    if matrix[1].sum() < 0:
        image = image[::-1]
    return image
