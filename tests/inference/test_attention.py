"""Where in the face the answer depends on the picture: by Grad-CAM, and by the gradient at the picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import cfnsr
from cfnsr.inference import attention
from cfnsr.models.types import Batch, Prediction
from cfnsr.preprocessing import media
from tests.inference.conftest import Saved
from tests.support import zoo

SIDE = 32


class Looks(nn.Module):
    """A network whose answer depends on one corner of the picture: rows 16 to 24, columns 4 to 12."""

    modality_modules: ClassVar = {"video": ("video",)}

    def __init__(self) -> None:
        super().__init__()
        self.video = nn.Sequential(nn.AvgPool3d((1, 4, 4)), nn.ReLU())
        self.seen = torch.zeros(SIDE // 4, SIDE // 4)
        self.seen[4:6, 1:3] = 1

    def forward(self, batch: Batch) -> Prediction:
        score = (self.video(batch["frames"]) * self.seen).sum(dim=(1, 2, 3, 4)) / 100
        return Prediction(torch.stack([score, torch.zeros_like(score)], dim=1).log_softmax(dim=1))


def pictures(count: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(count, 3, 4, SIDE, SIDE, generator=generator)
    return Batch({"frames": frames}, torch.zeros(count, dtype=torch.int64))


def test_gradient_at_the_picture_is_where_the_network_looks() -> None:
    network = Looks().eval()
    for of_clip in attention.of_batch(network, pictures(), None):
        assert of_clip is not None and of_clip.shape == (SIDE, SIDE) and of_clip.max() == 1 and of_clip.min() >= 0
        row, column = np.unravel_index(of_clip.argmax(), of_clip.shape)
        assert 16 <= row < 24 and 4 <= column < 12
        assert of_clip[:12].max() < 0.05 and of_clip[:, 20:].max() < 0.05


def test_grad_cam_is_as_its_equations_say() -> None:
    network, batch = Looks().eval(), pictures()
    assert attention.last_map(network, batch) == "video"
    features = network.video(batch["frames"]).requires_grad_()
    score = ((features * network.seen).sum(dim=(1, 2, 3, 4)) / 100).sigmoid().log().sum()
    (gradient,) = torch.autograd.grad(score, features)
    expected = (gradient.mean(dim=(2, 3, 4), keepdim=True) * features).sum(dim=1).relu()[:, 2].detach()
    maps = attention.of_batch(network, batch, "video")
    for of_clip, cells in zip(maps, expected.numpy(), strict=True):
        assert of_clip is not None
        # The middle of a cell is between four pixels; its neighbours reach into them by bilinear interpolation.
        middles = of_clip.reshape(8, 4, 8, 4)[:, 1:3, :, 1:3].mean(axis=(1, 3))
        assert np.corrcoef(middles.ravel(), cells.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("name", ["video", *sorted({*zoo.OPTIONS} - {"eranns"})])  # eranns only hears
@pytest.mark.parametrize("side_px", [64, 128])
def test_every_network_with_a_face_attends(name: str, side_px: int) -> None:
    torch.manual_seed(0)
    network = zoo.spec(name).build().eval().requires_grad_(False)
    batch = zoo.clips(2, frames=4, size=side_px)
    module = attention.last_map(network, batch)
    assert (module is not None) == (side_px == 128)  # the last of 64 pixels' maps has two cells a side
    before = network(batch).fused
    for of_clip in attention.of_batch(network, batch, module):
        assert of_clip is None or (of_clip.shape == (side_px, side_px) and 0 <= of_clip.min() < of_clip.max() == 1)
        assert of_clip is not None or module is not None  # the features may all speak against the answer
    assert torch.equal(network(batch).fused, before) and not network.training


def test_rows_attend_where_there_is_a_face(saved: Callable[..., Saved], studio_actor: Path) -> None:
    model = cfnsr.load(saved("averaging", "face_mesh")[0], device="cpu")
    clip = sorted(studio_actor.glob("*.mp4"))[0]
    run = model.run(clip, every_s=0.5, pictures=True)
    rows, plain = list(run), list(model.run(clip, every_s=0.5))
    assert run.duration_s == pytest.approx(media.timeline(clip).duration_s, abs=0.1)
    assert 50 < run.levels.size <= 400 and 0.05 < run.levels.max() <= 1
    for row, same in zip(rows, plain, strict=True):
        assert same.picture is None and row.picture is not None and row.picture.face is not None
        assert np.array_equal(row.opinion.fused, same.opinion.fused)
        assert row.picture.frame.shape[1] == 160 and row.picture.face.dtype == np.uint8
        assert row.picture.attention is not None and row.picture.attention.shape == row.picture.face.shape[:2]


def test_voice_alone_has_thumbnails_and_no_attention(saved: Callable[..., Saved], studio_actor: Path) -> None:
    model = cfnsr.load(saved("audio")[0], device="cpu")
    rows = list(model.run(sorted(studio_actor.glob("*.mp4"))[0], window_s=0.1, pictures=True))
    shown = [row.picture is not None for row in rows]
    assert sum(shown) == min(len(rows), 40) and shown[0] and shown[-1]
    assert all(row.picture is None or (row.picture.face, row.picture.attention) == (None, None) for row in rows)
