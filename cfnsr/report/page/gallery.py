"""Pictures of clips for the page: faces, spectrograms and attention maps, as ``data:`` addresses."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from cfnsr.data import shards
from cfnsr.data.manifest import Manifest
from cfnsr.data.shards import Shard
from cfnsr.errors import CfnsrError
from cfnsr.report.page.misclassified import Misclassified
from cfnsr.runtime import stored

Frames = UInt8[np.ndarray, "time height width 3"]
Picture = UInt8[np.ndarray, "tall wide 3"]

_SIDE_PX = 96  # of a frame on the page
_FRAMES = 4  # of a clip
_QUALITY = 75  # of WebP, 0 to 100


@dataclass(frozen=True)
class PictureKeys:
    """Keys of one clip's pictures in ``Gallery.pictures``; None without such a picture."""

    faces: str | None
    voice: str | None
    attention: str | None


class Gallery:
    """The pictures drawn so far, each once.

    Attributes:
        pictures: ``data:`` addresses, by key.
        faces: whether faces may be shown.
    """

    def __init__(self, shards_folder: Path, manifest: Manifest, *, faces: bool) -> None:
        """Open no shard yet.

        Args:
            shards_folder: with a shard for each speaker.
            manifest: of the shards.
            faces: whether faces may be shown.
        """
        self.pictures: dict[str, str] = {}
        self.faces = faces
        self._folder, self._manifest = shards_folder, manifest
        self._shards: dict[str, Shard] = {}

    def draw(self, system: str, item: Misclassified) -> PictureKeys:
        """Draw a clip; the systems that misclassify it share the pictures of its faces and voice."""
        shard = self._shard(item.actor)
        row = shard.index["clip"].tolist().index(item.clip)
        key, maps = f"{item.actor}/{item.clip}", item.attention
        frames = np.asarray(shard.arrays["frames"][row]) if self.faces and "frames" in shard.arrays else None
        mel = np.asarray(shard.arrays["mel"][row]) if "mel" in shard.arrays else None
        faces = voice = attention = None
        if frames is not None:
            faces = self._once(f"faces {key}", lambda: draw_faces(frames))
        if mel is not None:
            voice = self._once(f"voice {key}", lambda: draw_spectrogram(mel))
        if maps is not None:
            attention = self._once(f"attention {system} {key}", lambda: draw_attention(maps, frames))
        return PictureKeys(faces, voice, attention)

    def data_card(self) -> list[tuple[str, str]]:
        """Describe the data: names and values."""
        manifest = self._manifest
        index = [self._shard(actor).index for actor in manifest.clips]
        durations, padded = (np.concatenate([table[name] for table in index]) for name in ("duration_s", "padded_s"))
        at_most = f", by {padded.max():.2f} s at most" if padded.any() else ""
        shapes = (f"{name} {' x '.join(map(str, shape))}" for name, shape in manifest.shapes.items())
        return [
            ("Corpus", manifest.corpus),
            ("Clips", f"{len(durations):,} of {len(manifest.clips)} {manifest.units}"),
            ("Emotions", ", ".join(manifest.labels)),
            ("Duration", f"{durations.sum() / 60:.1f} min; each {durations.min():.2f} to {durations.max():.2f} s"),
            ("Skipped", f"{len(manifest.skipped):,} clips"),
            ("Padded with silence", f"{(padded > 0).sum():,} clips{at_most}"),
            ("Arrays of a clip", "; ".join(shapes)),
        ]

    def _shard(self, actor: str) -> Shard:
        if actor not in self._shards:
            shard = shards.read(self._folder / actor, self._manifest.modalities)
            shapes = {name: list(array.shape[1:]) for name, array in shard.arrays.items()}
            if shapes != self._manifest.shapes:
                raise CfnsrError(self._folder / actor, "its arrays have other shapes than manifest.json", stored.AGAIN)
            self._shards[actor] = shard
        return self._shards[actor]

    def _once(self, key: str, draw: Callable[[], str]) -> str:
        if key not in self.pictures:
            self.pictures[key] = draw()
        return key


def draw_faces(frames: Frames) -> str:
    """Draw four frames of a clip in one picture."""
    chosen = np.linspace(0, len(frames) - 1, min(_FRAMES, len(frames))).round().astype(int)
    parts = [cv2.resize(frames[number], (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA) for number in chosen]
    return _address(np.concatenate(parts, axis=1))


def draw_spectrogram(mel: Float32[np.ndarray, "mel step"]) -> str:
    """Draw a log-mel spectrogram, low frequencies at the bottom."""
    low, high = float(mel.min()), float(mel.max())
    grey = (255 * (mel[::-1] - low) / max(high - low, 1e-6)).astype(np.uint8)
    sized = cv2.resize(grey, (2 * _SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    return _address(cv2.applyColorMap(sized, cv2.COLORMAP_VIRIDIS)[..., ::-1])


def draw_attention(attention: Float32[np.ndarray, "moment row column"], frames: Frames | None) -> str:
    """Draw a map for each moment, over the frame of its middle if there are frames."""
    side = (_SIDE_PX, _SIDE_PX)
    parts = []
    for moment, weights in enumerate(attention):
        shares = cv2.resize(weights / max(float(weights.max()), 1e-9), side, interpolation=cv2.INTER_CUBIC)
        heat = cv2.applyColorMap((255 * np.clip(shares, 0, 1)).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
        if frames is not None:
            middle = cv2.resize(frames[round((moment + 0.5) / len(attention) * (len(frames) - 1))], side)
            heat = (0.5 * middle + 0.5 * heat).astype(np.uint8)
        parts.append(heat)
    return _address(np.concatenate(parts, axis=1))


def _address(picture: Picture) -> str:
    success, data = cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    assert success
    return f"data:image/webp;base64,{base64.b64encode(data.tobytes()).decode()}"
