"""Arrays of a clip -> small pictures within the page's own text."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

Picture = UInt8[np.ndarray, "tall wide 3"]

_SIDE_PX, _SHOWN = 96, 4  # of a frame on the page, and how many
_QUALITY = 75  # of WebP, 0 to 100


def faces(frames: UInt8[np.ndarray, "time height width 3"]) -> str:
    """A few frames side by side, as a ``data:`` address."""
    return _address(_strip(frames, _SHOWN))


def voice(mel: Float32[np.ndarray, "mel step"]) -> str:
    """The log-mel, low bands below, as a ``data:`` address."""
    low, high = float(mel.min()), float(mel.max())
    grey = (255 * (mel[::-1] - low) / max(high - low, 1e-6)).astype(np.uint8)
    coloured = cv2.applyColorMap(
        cv2.resize(grey, (2 * _SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA), cv2.COLORMAP_VIRIDIS
    )
    return _address(coloured[..., ::-1])


def attention(
    attended: Float32[np.ndarray, "moment row column"], frames: UInt8[np.ndarray, "time height width 3"] | None
) -> str:
    """Where in the face the voice looks, for each step of time; over the frame of its middle, or alone on grey."""
    parts = []
    for step, weights in enumerate(attended):
        warm = cv2.resize(
            weights / max(float(weights.max()), 1e-9), (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_CUBIC
        )
        heat = cv2.applyColorMap((255 * np.clip(warm, 0, 1)).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
        if frames is None:
            parts.append(heat)
        else:
            below = cv2.resize(frames[round((step + 0.5) / len(attended) * (len(frames) - 1))], (_SIDE_PX, _SIDE_PX))
            parts.append((0.5 * below + 0.5 * heat).astype(np.uint8))
    return _address(np.concatenate(parts, axis=1))


def _strip(frames: UInt8[np.ndarray, "time height width 3"], shown: int) -> Picture:
    chosen = np.linspace(0, len(frames) - 1, min(shown, len(frames))).round().astype(int)
    size = (_SIDE_PX, _SIDE_PX)
    return np.concatenate([cv2.resize(frames[one], size, interpolation=cv2.INTER_AREA) for one in chosen], axis=1)


def _address(picture: Picture) -> str:
    written, data = cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    assert written
    return f"data:image/webp;base64,{base64.b64encode(data.tobytes()).decode()}"
