"""Show a decoded frame as a player does: square pixels, upright, one size for the whole clip.

Only what is looked at is converted to RGB: a face is often a fifth of its frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import VideoReformatter
from jaxtyping import Float64, Int64, UInt8

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.container import open_media
from cfnsr.preprocessing.media import Timeline

_ONE = 1 << 16  # display matrices are in 16.16 fixed point
_TOLERANCE = 0.02  # of a matrix's cosines: one degree
_HALVED = {"yuv420p", "yuvj420p"}  # two bytes of colour for four pixels, each in a plane of its own
_BLOCK_PX = 16  # a part that begins and ends at a multiple of it is converted as it is within the whole frame

Image = UInt8[np.ndarray, "height width 3"]
Matrix = Int64[np.ndarray, "2 2"]
Part = tuple[int, int, int, int]  # left, top, width, height in pixels


@dataclass(frozen=True)
class Frame:
    """A frame as a player shows it.

    Attributes:
        width, height: in pixels.
        scaled: whether the file changed its picture's size, so that this frame was scaled to that of the first.
        cut: converts a part of the frame, which lies within it, to RGB.
    """

    width: int
    height: int
    scaled: bool
    cut: Callable[[Part], Image]

    @classmethod
    def of(cls, image: Image) -> Frame:
        """Return a picture as a frame."""
        height, width = image.shape[:2]
        return cls(width, height, False, lambda part: image[_rows_and_columns(part)])

    @property
    def image(self) -> Image:
        """Return the whole picture, RGB, upright, in square pixels."""
        return self.cut((0, 0, self.width, self.height))

    def crop(self, box: Float64[np.ndarray, " 3"], side_px: int) -> UInt8[np.ndarray, "side side 3"]:
        """Crop a square (centre x, centre y, side; pixels) and scale it; outside the frame its edge repeats."""
        x, y, side = box
        whole = max(round(side), 1)
        left, top = round(x - whole / 2), round(y - whole / 2)
        if left >= 0 and top >= 0 and left + whole <= self.width and top + whole <= self.height:
            square = self.cut((left, top, whole, whole))
        else:
            rows = np.clip(np.arange(top, top + whole), 0, self.height - 1)
            columns = np.clip(np.arange(left, left + whole), 0, self.width - 1)
            first, last = (columns[0].item(), rows[0].item()), (columns[-1].item(), rows[-1].item())
            within = self.cut((*first, last[0] + 1 - first[0], last[1] + 1 - first[1]))
            square = within[(rows - first[1])[:, None], columns - first[0]]
        # Area averaging does not alias when it shrinks; it does nothing useful when it enlarges.
        method = cv2.INTER_AREA if whole >= side_px else cv2.INTER_LINEAR
        return cv2.resize(square, (side_px, side_px), interpolation=method)


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
    _converter: VideoReformatter = field(default_factory=VideoReformatter, repr=False, compare=False)

    @classmethod
    def of(cls, stream: av.VideoStream, pixel_ratio: float) -> Display:
        """Read the size from a stream's header, before a frame is decoded; the turn is that of each frame."""
        context = stream.codec_context
        return cls((context.width, context.height), max(round(context.width * pixel_ratio), 1), context.height)

    def show(self, frame: av.VideoFrame, where: object) -> Frame:
        """Return a decoded frame as players show it.

        Args:
            frame: as decoded.
            where: the clip, for the error.

        Raises:
            CfnsrError: it is turned by other than quarter turns.
        """
        matrix = matrix_of(frame)
        if matrix is None:
            problem = "is turned by other than quarter turns"
            raise CfnsrError(where, problem, "Convert it: only quarter turns can be undone")
        width, height = (self.height, self.width) if matrix[0, 1] else (self.width, self.height)
        scaled = (frame.width, frame.height) != self.stored
        return Frame(width, height, scaled, partial(self._cut, frame, matrix))

    def _cut(self, frame: av.VideoFrame, matrix: Matrix, part: Part) -> Image:
        """Convert a part of a frame, given in pixels as shown, to RGB."""
        part = _before_turn(part, matrix, self.width, self.height)
        if (frame.width, frame.height) == (self.width, self.height):
            return _turned(self._converted(frame, part), matrix)
        image = self._converted(frame, (0, 0, frame.width, frame.height))
        method = cv2.INTER_AREA if frame.width > self.width else cv2.INTER_LINEAR
        image = cv2.resize(image, (self.width, self.height), interpolation=method)
        return _turned(image[_rows_and_columns(part)], matrix)

    def _converted(self, frame: av.VideoFrame, part: Part) -> Image:
        """Convert a part of a frame as stored to RGB; its pixels are those of the whole frame's conversion."""
        left, top, width, height = part
        if _has_plain_planes(frame) and (width, height) != (frame.width, frame.height):
            x, y = left // _BLOCK_PX * _BLOCK_PX, top // _BLOCK_PX * _BLOCK_PX
            right, bottom = (-(-end // _BLOCK_PX) * _BLOCK_PX for end in (left + width, top + height))
            frame = _cut_planes(frame, slice(y, min(bottom, frame.height)), slice(x, min(right, frame.width)))
            left, top = left - x, top - y
        # One thread, since clips are in parallel; one converter, since making its tables takes longer than its work.
        image = self._converter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        return image[_rows_and_columns((left, top, width, height))]

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


def _before_turn(part: Part, matrix: Matrix, width: int, height: int) -> Part:
    """Return where a part of the turned picture is before the turn, in a picture of this width and height."""
    left, top, across, down = part
    if matrix[0, 1]:
        width, height = height, width
    if matrix[0].sum() < 0:
        left = width - left - across
    if matrix[1].sum() < 0:
        top = height - top - down
    return (top, left, down, across) if matrix[0, 1] else (left, top, across, down)


def _has_plain_planes(frame: av.VideoFrame) -> bool:
    """Return whether each pair of rows and columns is converted by itself; other frames are converted as a whole."""
    is_even = frame.width % 2 == frame.height % 2 == 0 and not frame.interlaced_frame
    return is_even and frame.format.name in _HALVED and all(plane.line_size > 0 for plane in frame.planes)


def _cut_planes(frame: av.VideoFrame, rows: slice, columns: slice) -> av.VideoFrame:
    """Copy a part, which begins and ends at even pixels, of a frame of one of the formats ``_HALVED``."""
    part = av.VideoFrame(columns.stop - columns.start, rows.stop - rows.start, frame.format.name)
    part.colorspace, part.color_range = frame.colorspace, frame.color_range
    for plane, source, step in zip(part.planes, frame.planes, (1, 2, 2), strict=True):
        within = slice(rows.start // step, rows.stop // step), slice(columns.start // step, columns.stop // step)
        _pixels(plane)[: plane.height, : plane.width] = _pixels(source)[within]
    return part


def _pixels(plane: Any) -> UInt8[np.ndarray, "row byte"]:
    """Return a plane's memory, a row of pixels and padding each; not ``VideoPlane``, whose stub has no buffer."""
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)


def _rows_and_columns(part: Part) -> tuple[slice, slice]:
    left, top, width, height = part
    return slice(top, top + height), slice(left, left + width)
