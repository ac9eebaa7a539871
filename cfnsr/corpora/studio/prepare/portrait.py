"""Warp a portrait so that its 68 points move.

The portrait is NASA's picture of an astronaut, in the public domain, shipped with scikit-image.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from jaxtyping import Float32, Float64, UInt8

from cfnsr.corpora.studio.prepare.identity import Identity

Points = Float64[np.ndarray, "point 2"]
Positions = Float64[np.ndarray, "position 2"]
Plane = UInt8[np.ndarray, "height width"]

_FACE_HEIGHT = 0.42  # brow to chin at rest, as a share of the picture's height
_MIRROR = np.r_[  # by point, the one on the other side of the face
    16:-1:-1, 26:16:-1, 27:31, 35:30:-1, 45:41:-1, 47:45:-1, 39:35:-1, 41:39:-1, 54:47:-1, 59:54:-1, 64:59:-1, 67:64:-1
]
_BLOCK_PX = 12  # the spline is computed in the middle of each block of 12 x 12 pixels and interpolated between
_REACH = 1.0  # twice the margin of the warped region around the points, as a share of the face's size
_SHRINK = (1, 2, 2)  # of the planes of YUV 4:2:0: the picture's width and height as multiples of theirs
_MOUTH_RGB = (48, 18, 22)  # of an open mouth


class Portrait:
    """One actor's portrait.

    Args:
        person: the actor.
        width, height: of the picture in pixels, even numbers.

    Attributes:
        points: the 68 points at rest, in pixels.
        eyes_px: distance between the eyes.
    """

    def __init__(self, person: Identity, width: int, height: int) -> None:
        image, points = _source(person.mirrored)
        scale = _FACE_HEIGHT * height / np.ptp(points[:, 1])
        middle = np.array([width / 2, 0.47 * height]) + np.array(person.offset) * height / 720
        shift = middle - scale * (points.min(axis=0) + points.max(axis=0)) / 2
        matrix = np.column_stack([scale * np.eye(2), shift])
        # Cubic, because the portrait is enlarged; outside it, its edge repeats.
        large = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        points = points * scale + shift
        self.points = _change_proportions(points, person)
        warp = _Warp(points, width, height)
        shaped = large.copy()
        warp.draw(large, shaped, warp.sources(self.points)[1])
        # What does not move is drawn here, once, in the colours of the video. The warp then changes the region around
        # the face in each plane: three in place of six bytes for two pixels, and no conversion of each frame.
        self._picture = cv2.cvtColor(_light(shaped, self.points, person), cv2.COLOR_RGB2YUV_I420)
        self._warp = _Warp(self.points, width, height)
        self.eyes_px = float(np.linalg.norm(self.points[36:42].mean(axis=0) - self.points[42:48].mean(axis=0)))

    def pose(self, points: Points) -> UInt8[np.ndarray, "rows width"]:
        """Return the picture with its 68 points moved to ``points``; an open mouth is dark inside.

        Returns:
            The planes of YUV 4:2:0 below each other, as OpenCV's I420 and PyAV's ``yuv420p`` have them.
        """
        picture = self._picture.copy()
        planes, sources = _planes(picture), self._warp.sources(points)
        for original, plane, shrink in zip(_planes(self._picture), planes, _SHRINK, strict=True):
            self._warp.draw(original, plane, sources[shrink])
        _darken_mouth(planes, points, self.points, self.eyes_px)
        return picture


class _Warp:
    """Move the pixels around a face by a thin-plate spline through its points.

    Args:
        rest: the points in the picture that is warped.
        width, height: of that picture, even numbers.
    """

    def __init__(self, rest: Points, width: int, height: int) -> None:
        low, high = rest.min(axis=0), rest.max(axis=0)
        margin = _REACH * (high - low).max() / 2
        # Even numbers, which the planes of colour, of half the size, share.
        left, top = (2 * int(value // 2) for value in np.maximum(low - margin, 0))
        right, bottom = (2 * int(-(-value // 2)) for value in np.minimum(high + margin, [width, height]))
        self._rest, self._width, self._region = rest, width, (left, top, right, bottom)
        self._border = _border_points(left, top, right, bottom)
        # One more block on each side, between whose middle and the next the region's edge lies.
        columns, rows = (
            np.arange(start - _BLOCK_PX / 2, stop + _BLOCK_PX, _BLOCK_PX) - 0.5
            for start, stop in ((left, right), (top, bottom))
        )
        self._grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
        self._shape = (len(rows), len(columns), 2)
        self._pixels = {shrink: _positions(*(value // shrink for value in self._region)) for shrink in set(_SHRINK)}

    def sources(self, points: Points) -> dict[int, Float32[np.ndarray, "height width 2"]]:
        """Return where each pixel of the region comes from if the points at rest move to ``points``.

        Returns:
            Positions (x, y), in the picture (1) and in planes of half its width and height (2).
        """
        # The spline maps backwards: from each pixel of the new picture to its source.
        known = np.vstack([points, self._border])
        values = np.vstack([self._rest - points, np.zeros_like(self._border)])
        offsets = _spline(known, values, self._grid).reshape(self._shape).astype(np.float32)
        sources = {}
        for shrink, pixels in self._pixels.items():
            block, (height, width, _) = _BLOCK_PX // shrink, pixels.shape
            at = cv2.resize(offsets / shrink, None, fx=block, fy=block, interpolation=cv2.INTER_CUBIC)
            at = at[block : block + height, block : block + width]
            at += pixels
            sources[shrink] = at
        return sources

    def draw(self, image: np.ndarray, target: np.ndarray, sources: Float32[np.ndarray, "height width 2"]) -> None:
        """Fill the region of ``target`` with the pixels of ``image`` at ``sources``; outside it, its edge repeats."""
        shrink = self._width // image.shape[1]
        left, top, right, bottom = (value // shrink for value in self._region)
        no_map: Any = None  # `sources` has both coordinates; OpenCV's stub does not know that one map is enough
        moved = cv2.remap(image, sources, no_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        target[top:bottom, left:right] = moved


def _planes(picture: UInt8[np.ndarray, "rows width"]) -> tuple[Plane, Plane, Plane]:
    """Return views of a picture's brightness and of its two planes of colour."""
    width, height = picture.shape[1], picture.shape[0] * 2 // 3
    brightness, *colours = np.split(picture.reshape(-1), [height * width, height * width * 5 // 4])
    first, second = (colour.reshape(height // 2, width // 2) for colour in colours)
    return brightness.reshape(height, width), first, second


def _source(mirrored: bool) -> tuple[UInt8[np.ndarray, "height width 3"], Points]:
    """Return the portrait, mirrored or not, and its 68 points."""
    image = skimage.data.astronaut()
    landmarks = json.loads(Path(__file__).with_name("astronaut_landmarks68.json").read_text(encoding="utf-8"))
    points = np.array(landmarks["points_xy"], np.float64)
    if mirrored:
        image = np.ascontiguousarray(image[:, ::-1])
        points = np.column_stack([image.shape[1] - 1 - points[:, 0], points[:, 1]])[_MIRROR]
    return image, points


def _change_proportions(points: Points, person: Identity) -> Points:
    """Apply the actor's proportions, relative to the root of the nose."""
    changed = points.copy()
    for part, factor in ((slice(36, 48), person.eyes), (slice(17, 27), person.eyes), (slice(48, 68), person.mouth)):
        middle = changed[part].mean(axis=0)
        changed[part, 0] = middle[0] + factor * (changed[part, 0] - middle[0])
    return points[27] + (changed - points[27]) * [person.wide, person.tall]


def _light(image: np.ndarray, points: Points, person: Identity) -> UInt8[np.ndarray, "height width 3"]:
    """Apply the actor's light, and a backdrop that becomes stronger away from the head."""
    height, width = image.shape[:2]
    middle, size = points.mean(axis=0), np.ptp(points, axis=0).max()
    y, x = np.mgrid[:height, :width]
    away = np.hypot((x - middle[0]) / size, (y - middle[1] + 0.2 * size) / size)
    share = np.clip((away - 1.0) / 0.8, 0, 0.75)[..., None]
    return np.clip((image * (1 - share) + np.array(person.backdrop) * share) * person.gains, 0, 255).astype(np.uint8)


def _darken_mouth(planes: tuple[Plane, ...], points: Points, rest: Points, eyes_px: float) -> None:
    """Darken the mouth below the upper teeth; stretched teeth would look like a grin."""
    gap = (points[66, 1] - points[62, 1]) - (rest[66, 1] - rest[62, 1])
    if gap < 0.02 * eyes_px:
        return
    upper = points[[60, 61, 62, 63, 64]].copy()
    upper[1:4, 1] += np.minimum(0.3 * gap + 0.08 * eyes_px, points[66, 1] - points[62, 1])
    outline = np.vstack([upper, points[[65, 66, 67]]])
    left, top = 2 * (np.floor(outline.min(axis=0)).astype(int) // 2 - 2)
    right, bottom = 2 * (np.ceil(outline.max(axis=0)).astype(int) // 2 + 3)
    mask = np.zeros((bottom - top, right - left), np.float32)
    cv2.fillPoly(mask, [np.round(outline - [left, top]).astype(np.int32)], 1.0, cv2.LINE_AA)
    mask = cv2.GaussianBlur(mask, (0, 0), 1.5) * 0.85
    dark = _planes(cv2.cvtColor(np.full((2, 2, 3), _MOUTH_RGB, np.uint8), cv2.COLOR_RGB2YUV_I420))
    for plane, colour, shrink in zip(planes, dark, _SHRINK, strict=True):
        share = cv2.resize(mask, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
        part = plane[top // shrink : bottom // shrink, left // shrink : right // shrink]
        part[:] = np.round(part * (1 - share) + colour[0, 0] * share)


def _positions(left: int, top: int, right: int, bottom: int) -> Float32[np.ndarray, "height width 2"]:
    """Return the position (x, y) of each pixel of a region."""
    x, y = np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32)
    return np.stack(np.meshgrid(x, y), axis=-1)


def _border_points(left: int, top: int, right: int, bottom: int) -> Points:
    """Return points around the region that do not move."""
    x, y = np.linspace(left, right, 7), np.linspace(top, bottom, 7)
    return np.array([(a, b) for a in x for b in y if a in (x[0], x[-1]) or b in (y[0], y[-1])])


def _spline(points: Points, values: Points, positions: Positions) -> Positions:
    """Evaluate at ``positions`` the thin-plate spline with ``values`` at ``points``."""
    count = len(points)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(points, points)
    system[:count, count:] = np.column_stack([np.ones(count), points])
    system[count:, :count] = system[:count, count:].T
    weights = np.linalg.solve(system, np.vstack([values, np.zeros((3, 2))]))
    return (
        _kernel(positions, points) @ weights[:count]
        + np.column_stack([np.ones(len(positions)), positions]) @ weights[count:]
    )


def _kernel(a: Positions, b: Points) -> Float64[np.ndarray, "position point"]:
    # Both squares and -2 a b in one product, and no array more than needed: this is a sixth of the time of a frame.
    terms = np.column_stack([-2 * a, (a**2).sum(axis=1), np.ones(len(a))])
    squared = terms @ np.column_stack([b, np.ones(len(b)), (b**2).sum(axis=1)]).T
    np.maximum(squared, 1e-9, out=squared)  # rounding errors may be negative
    squared *= np.log(squared)
    return squared
