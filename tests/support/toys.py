"""Toy additions as source text, each one file, and a way to add such a file to a package for one test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Three stages, and a pooling that keeps four cells: dim is not the last stage's channels.
VIDEO_ENCODER = '''
"""A toy video encoder: three convolutions."""

from collections.abc import Sequence

from torch import nn

from cfnsr.models import encoders
from cfnsr.models.publication import Publication


class Encoder(encoders.Encoder):
    """Frames -> logits."""

    reads = "frames"
    publication = Publication(fusion="none")

    def __init__(self, classes: int, shape: Sequence[int], *, width: int) -> None:
        super().__init__()
        self.channels = [width, 2 * width, 3 * width]
        self.stages = nn.Sequential(
            nn.Sequential(nn.Conv3d(3, width, 3, stride=4, padding=1), nn.ReLU()),
            nn.Sequential(nn.Conv3d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU()),
            nn.Sequential(nn.Conv3d(2 * width, 3 * width, 3, padding=1), nn.ReLU()),
        )
        self.dim = 4 * self.channels[-1]
        pool = nn.Sequential(nn.AdaptiveAvgPool3d((1, 2, 2)), nn.Flatten())
        self.head = nn.Sequential(pool, nn.Linear(self.dim, classes))
'''

# Reads an array that no network of cfnsr reads: the sound's energy, Float[Tensor, "batch step"].
ENERGY_SYSTEM = '''
"""A toy system on a second audio feature; neither encoder is used."""

from typing import ClassVar

import torch
from torch import nn

from cfnsr.models.encoders import Encoder
from cfnsr.models.publication import Publication
from cfnsr.models.types import Batch, Prediction


class Fusion(nn.Module):
    """Energy -> prediction."""

    publication = Publication(fusion="none")
    trains = True
    modality_modules: ClassVar = {"audio": ("features",)}

    def __init__(self, video: Encoder, audio: Encoder, classes: int, *, width: int) -> None:
        super().__init__()
        pool = nn.Sequential(nn.AdaptiveAvgPool1d(4), nn.Flatten())
        self.features = nn.Sequential(nn.Conv1d(1, width, 5, padding=2), nn.ReLU(), pool)
        self.classifier = nn.Linear(4 * width, classes)

    def forward(self, batch: Batch) -> Prediction:
        """Predict from the energy."""
        logits = self.classifier(self.features(batch["energy"][:, None]))
        return Prediction(logits.log_softmax(dim=1, dtype=torch.float32))
'''

# Uses both encoders, whatever they read, as its two predictions.
LOUDER_SYSTEM = '''
"""A toy system: whichever of the two predictions is surer."""

from typing import ClassVar

import torch
from torch import nn

from cfnsr.models.encoders import Encoder
from cfnsr.models.publication import Publication
from cfnsr.models.types import Batch, Prediction


class Fusion(nn.Module):
    """Two predictions -> one."""

    publication = Publication(fusion="decision")
    trains = True
    modality_modules: ClassVar = {"video": ("video",), "audio": ("audio",)}

    def __init__(self, video: Encoder, audio: Encoder, classes: int, *, gain: float) -> None:
        super().__init__()
        self.video, self.audio = video, audio
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, batch: Batch) -> Prediction:
        """Predict from the greater of each class's two logits."""
        logits = torch.maximum(self.video(batch["frames"]), self.audio(batch["mfcc"]))
        return Prediction((self.gain * logits).log_softmax(dim=1, dtype=torch.float32))
'''

# Two emotions; the name of a clip is ``<label>_<number>_<speaker>.mp4``.
CORPUS = '''
"""A toy corpus of two emotions."""

from collections import Counter
from pathlib import Path

from cfnsr.corpora import clip
from cfnsr.corpora.clip import Clip
from cfnsr.runtime.bad_clips import BadClips

LABELS = ["calm", "angry"]


def labels(**_: object) -> list[str]:
    """List the emotions in the order of their class index."""
    return LABELS


def expected(actor: str, *, clips_each: int, **_: object) -> Counter[str]:
    """Count the clips of each emotion that a speaker has."""
    return Counter(dict.fromkeys(LABELS, clips_each))


def clips(folder: Path, bad: BadClips) -> list[Clip]:
    """Describe the clips in one speaker's folder from their file names."""

    def describe(path: Path) -> Clip:
        label, _, actor = path.stem.split("_")
        return Clip(path.stem, path, actor, label)

    return clip.describe(folder, bad, describe)
'''
CORPUS_PREPARE = '''
"""Take the toy corpus's clips from a folder of the user."""

from pathlib import Path

from cfnsr.corpora.link_or_copy import link_or_copy


def prepare(actor: str, folder: Path, *, videos: str, source: object, jobs: int, **_: object) -> None:
    """Link or copy one speaker's clips."""
    for path in sorted(Path(videos).glob(f"*_{actor}.mp4")):
        link_or_copy(path, folder / path.name)
'''

# A circle of radius 60 around x 160, y 120, in every frame.
FROZEN_ENCODER = '''
"""A toy encoder: how loud a clip is, step by step."""

import numpy as np

from cfnsr.corpora.clip import Clip
from cfnsr.features.extractors import FrozenEncoder
from cfnsr.features.files import ClipFeatures, Facts
from cfnsr.preprocessing import audio, media
from cfnsr.preprocessing.face_boxes import FaceBoxes


class Extractor(FrozenEncoder):
    """The encoder."""

    facts = Facts("loudness", "audio", "1", (), rate_hz=8000)

    def __init__(self, *, steps: int) -> None:
        self._steps = steps

    def of_clip(self, clip: Clip, boxes: FaceBoxes | None) -> ClipFeatures:
        """Return the loudness of the first second."""
        times = media.sound_timeline(clip.path)
        samples, _ = audio.waveform(clip.path, times, rate_hz=8000, offset_s=0.0, window_s=1.0)
        loud = np.abs(samples).reshape(self._steps, -1).mean(axis=1)
        return ClipFeatures(loud[None].astype(np.float32), 1.0)
'''

LANDMARK_SOURCE = '''
"""A toy source of landmarks: a circle in the middle of a picture of 320x240."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cfnsr.corpora.clip import Clip
from cfnsr.preprocessing import media
from cfnsr.preprocessing.landmarks import POINTS, Landmarks


def finder(published: Path, *, radius_px: int, **_: object) -> Callable[[Clip], Landmarks]:
    """Return a function that gives every frame of a clip the same landmarks."""
    angle = np.linspace(0, 2 * np.pi, POINTS)
    circle = np.stack([160 + radius_px * np.cos(angle), 120 + radius_px * np.sin(angle)], axis=1)

    def find(clip: Clip) -> Landmarks:
        timeline = media.timeline(clip.path)
        count = len(timeline.pts)
        return Landmarks(np.tile(circle, (count, 1, 1)), np.ones(count), timeline.frame_rate_hz)

    return find
'''

DECODER = '''
"""A toy decoder: decodes every frame, needed or not."""

from collections.abc import Iterator
from pathlib import Path

import av

from cfnsr.preprocessing.container import open_media
from cfnsr.preprocessing.display import Display
from cfnsr.preprocessing.media import Timeline
from cfnsr.preprocessing.video import Frame


def frames(path: Path, timeline: Timeline, indices: list[int]) -> Iterator[Frame]:
    """Decode frames; see ``cfnsr.preprocessing.video.frames``."""
    with open_media(path) as container:
        stream = container.streams[timeline.stream]
        assert isinstance(stream, av.VideoStream)
        display = Display.of(stream, timeline.pixel_ratio)
        stream.codec_context.skip_frame = "DEFAULT"
        shown = {frame.pts: display.show(frame, path) for frame in container.decode(stream)}
    for index in indices:
        yield shown[timeline.pts[index]]
'''

# ``stages/durations.py``, and its stub: the stubs read dvc.yaml, and write what it lists.
STAGE = '''
import json
from pathlib import Path

import click

from cfnsr.cli.options import IN_FOLDER, OUT_FILE
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.data import shards
from cfnsr.runtime.outputs import atomic_file


@stage
@click.argument("shards_folder", metavar="SHARDS", type=IN_FOLDER)
@click.argument("out", type=OUT_FILE)
def main(params: Params, shards_folder: Path, out: Path) -> None:
    """Write the length of each speaker's clips under SHARDS, in seconds, into OUT (JSON).

    Example: python -m stages.durations data/studio/shards data/studio/durations.json
    """
    seconds = {folder.name: shards.read(folder).index["duration_s"].sum() for folder in sorted(shards_folder.iterdir())}
    rounded = {speaker: round(float(sum_s), params.durations.decimals) for speaker, sum_s in seconds.items()}
    with atomic_file(out) as partial:
        partial.write_text(json.dumps(rounded) + "\\n", encoding="utf-8")


if __name__ == "__main__":
    main()
'''
STAGE_ENTRY = """
  durations:
    desc: the length of each speaker's clips, in seconds
    matrix: *corpus
    cmd: python -m stages.durations data/${corpus}/shards data/${corpus}/durations.json
    deps: [stages/durations.py, cfnsr/data/shards.py, "data/${corpus}/shards"]
    params: [durations]
    outs: ["data/${corpus}/durations.json"]
"""
STAGE_STUB = '''
"""One file."""

from tests.support.stubs.payload import named, run

run(named())
'''


@contextmanager
def added(package: str, name: str, source: str, folder: Path) -> Iterator[None]:
    """Add one file to a package, as if it lay in the package's folder.

    Args:
        package: dotted name.
        name: the file's, without ``.py``.
        source: its text.
        folder: where it is written.
    """
    (folder / f"{name}.py").write_text(source)
    path = importlib.import_module(package).__path__
    path.append(str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        path.remove(str(folder))
        sys.modules.pop(f"{package}.{name}", None)
