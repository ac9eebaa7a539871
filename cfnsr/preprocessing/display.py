"""Show a decoded frame as a player does: square pixels, upright, one size for the whole clip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from jaxtyping import Float64, Int64, UInt8

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.container import open_media
from cfnsr.preprocessing.media import Timeline

_ONE = 1 << 16  # display matrices are in 16.16 fixed point
_TOLERANCE = 0.02  # of a matrix's cosines: one degree


Matrix = Int64[np.ndarray, "2 2"]


@dataclass(frozen=True)
class Display:
    """The size and the turn of a clip's frames.

    Attributes:
        stored: width and height in the file's pixels, which need not be square.
        width, height: in square pixels, before the turn.
        matrix: maps a stored direction (x, y) to a shown one, of -1, 0 and 1; None if the turn is of other angles.
    """

    stored: tuple[int, int]
    width: int
    height: int
    matrix: Matrix | None = None

    @classmethod
    def of(cls, stream: av.VideoStream, pixel_ratio: float) -> Display:
        """Read the size from a stream's header, before a frame is decoded; the turn is that of each frame."""
        context = stream.codec_context
        return cls((context.width, context.height), max(round(context.width * pixel_ratio), 1), context.height)

    def show(self, frame: av.VideoFrame, where: object) -> tuple[UInt8[np.ndarray, "height width 3"], bool]:
        """Convert a frame to RGB as players show it.

        Args:
            frame: as decoded.
            where: the clip, for the error.

        Returns:
            The picture, and whether it had another size than the clip's first frame.

        Raises:
            CfnsrError: it is turned by other than quarter turns.
        """
        matrix = matrix_of(frame)
        if matrix is None:
            problem = "is turned by other than quarter turns"
            raise CfnsrError(where, problem, "Convert it: only quarter turns can be undone")
        image = frame.to_ndarray(format="rgb24")
        if (frame.width, frame.height) != (self.width, self.height):
            method = cv2.INTER_AREA if frame.width > self.width else cv2.INTER_LINEAR
            image = cv2.resize(image, (self.width, self.height), interpolation=method)
        return _turned(image, matrix), (frame.width, frame.height) != self.stored

    def of_stored(self, points: Float64[np.ndarray, "... 2"], *, turned: bool) -> Float64[np.ndarray, "... 2"]:
        """Move points of the stored picture to where players show them.

        Args:
            points: x and y in stored pixels.
            turned: whether the points are of the picture before its turn.
        """
        points = points * [self.width / self.stored[0], self.height / self.stored[1]]
        if not turned or self.matrix is None:
            return points
        # A mirrored axis begins at the picture's other end.
        size = np.abs(self.matrix) @ [self.width, self.height]
        return points @ self.matrix.T + np.where(self.matrix.sum(axis=1) < 0, size, 0)


def read_display(path: Path, timeline: Timeline) -> Display:
    """Read size and turn of a clip from its first frame.

    Raises:
        CfnsrError: the clip cannot be decoded.
    """
    with open_media(path) as container:
        stream = container.streams[timeline.stream]
        assert isinstance(stream, av.VideoStream)
        display = Display.of(stream, timeline.pixel_ratio)
        stream.codec_context.skip_frame = "DEFAULT"
        for frame in container.decode(stream):
            assert isinstance(frame, av.VideoFrame)
            return replace(display, matrix=matrix_of(frame))
    raise CfnsrError(path, "no frame of it can be decoded", "Fetch or record the clip again")


def matrix_of(frame: av.VideoFrame) -> Matrix | None:
    """Read the display matrix of a frame; see ``Display.matrix``."""
    # Not frame.side_data: the frame would keep it, and it keeps the frame. Both would stay in memory until Python looks
    # for cycles, which it does rarely beside torch: hundreds of megabytes of frames.
    data = SideDataContainer(frame).get("DISPLAYMATRIX")  # pyright: ignore[reportCallIssue]  # its stub lacks __init__
    if data is None:
        return np.eye(2, dtype=np.int64)
    # Rows of (a b u), (c d v), (x y w): x' = a x + c y, y' = b x + d y. Only turns and mirrors matter, not the scale.
    matrix = np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2].T / _ONE
    matrix = matrix / (np.abs(matrix).max() or 1)
    exact = np.round(matrix).astype(np.int64)
    counts = np.abs(exact)
    is_turn = np.abs(matrix - exact).max() < _TOLERANCE and (counts.sum(axis=0) == 1).all()
    return exact if is_turn and (counts.sum(axis=1) == 1).all() else None


def _turned(image: UInt8[np.ndarray, "height width 3"], matrix: Matrix) -> UInt8[np.ndarray, "height2 width2 3"]:
    """Turn and mirror a picture: telephones store rotated or mirrored frames."""
    if matrix[0, 1]:  # x and y change places
        image = image.transpose(1, 0, 2)
    if matrix[0].sum() < 0:
        image = image[:, ::-1]
    if matrix[1].sum() < 0:
        image = image[::-1]
    return image
