"""Warp a portrait so that its 68 points move.

The portrait is NASA's picture of an astronaut, in the public domain, shipped with scikit-image.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from jaxtyping import Float32, Float64, UInt8

from cfnsr.corpora.studio.prepare.identity import Identity

Points = Float64[np.ndarray, "point 2"]
Positions = Float64[np.ndarray, "position 2"]

_FACE_HEIGHT = 0.42  # brow to chin at rest, as a share of the picture's height
_MIRROR = np.r_[  # by point, the one on the other side of the face
    16:-1:-1, 26:16:-1, 27:31, 35:30:-1, 45:41:-1, 47:45:-1, 39:35:-1, 41:39:-1, 54:47:-1, 59:54:-1, 64:59:-1, 67:64:-1
]
_STEP_PX = 12  # the warp is computed at every twelfth pixel and interpolated between them
_REACH = 1.0  # twice the margin of the warped region around the points, as a share of the face's size


class Portrait:
    """One actor's portrait.

    Args:
        person: the actor.
        width, height: of the picture in pixels.

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
        self._image = _light(_Warp(points, width, height)(large, self.points), self.points, person)
        self._warp = _Warp(self.points, width, height)
        self.eyes_px = float(np.linalg.norm(self.points[36:42].mean(axis=0) - self.points[42:48].mean(axis=0)))

    def pose(self, points: Points) -> UInt8[np.ndarray, "height width 3"]:
        """Return the picture with its 68 points moved to ``points``; an open mouth is dark inside."""
        picture = self._warp(self._image, points)
        return _darken_mouth(picture, points, self.points, self.eyes_px)


class _Warp:
    """Move the pixels around a face by a thin-plate spline through its points.

    Args:
        rest: the points in the picture that is warped.
        width, height: of that picture.
    """

    def __init__(self, rest: Points, width: int, height: int) -> None:
        low, high = rest.min(axis=0), rest.max(axis=0)
        margin = _REACH * (high - low).max() / 2
        left, top = (int(value) for value in np.maximum(np.floor(low - margin), 0))
        right, bottom = (int(value) for value in np.minimum(np.ceil(high + margin), [width, height]))
        self._rest, self._region = rest, (slice(top, bottom), slice(left, right))
        self._border = _border_points(left, top, right, bottom)
        columns, rows = (np.arange(start, stop + _STEP_PX, _STEP_PX) for start, stop in ((left, right), (top, bottom)))
        self._grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2).astype(np.float64)
        self._shape = (len(rows), len(columns), 2)
        pixels = np.meshgrid(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))
        self._pixels = np.stack(pixels, axis=-1)
        self._pixels_on_grid = (self._pixels - [left, top]).astype(np.float32) / _STEP_PX

    def __call__(
        self, image: UInt8[np.ndarray, "height width 3"], points: Points
    ) -> UInt8[np.ndarray, "height width 3"]:
        """Return the image with its points at rest moved to ``points``."""
        # The spline maps backwards: from each pixel of the new picture to its source.
        known = np.vstack([points, self._border])
        offsets = _spline(known, np.vstack([self._rest - points, np.zeros_like(self._border)]), self._grid)
        offsets = _sample(offsets.reshape(self._shape).astype(np.float32), self._pixels_on_grid, cv2.INTER_CUBIC)
        picture = image.copy()
        picture[self._region] = _sample(image, self._pixels + offsets, cv2.INTER_LINEAR)
        return picture


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


def _darken_mouth(picture: np.ndarray, points: Points, rest: Points, eyes_px: float) -> np.ndarray:
    """Darken the mouth below the upper teeth; stretched teeth would look like a grin."""
    gap = (points[66, 1] - points[62, 1]) - (rest[66, 1] - rest[62, 1])
    if gap < 0.02 * eyes_px:
        return picture
    upper = points[[60, 61, 62, 63, 64]].copy()
    upper[1:4, 1] += np.minimum(0.3 * gap + 0.08 * eyes_px, points[66, 1] - points[62, 1])
    outline = np.vstack([upper, points[[65, 66, 67]]])
    left, top = np.floor(outline.min(axis=0)).astype(int) - 4
    right, bottom = np.ceil(outline.max(axis=0)).astype(int) + 5
    mask = np.zeros((bottom - top, right - left), np.float32)
    cv2.fillPoly(mask, [np.round(outline - [left, top]).astype(np.int32)], 1.0, cv2.LINE_AA)
    mask = cv2.GaussianBlur(mask, (0, 0), 1.5)[..., None] * 0.85
    part = picture[top:bottom, left:right]
    picture[top:bottom, left:right] = (part * (1 - mask) + np.array([48, 18, 22]) * mask).astype(np.uint8)
    return picture


def _sample(image: np.ndarray, at: Float32[np.ndarray, "height width 2"], interpolation: int) -> np.ndarray:
    """Sample the image at fractional positions (x, y); outside it, its edge repeats."""
    return cv2.remap(image, at[..., 0], at[..., 1], interpolation, borderMode=cv2.BORDER_REPLICATE)


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
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    squared = np.maximum(squared, 1e-9)  # rounding errors may be negative
    return squared * np.log(squared)
