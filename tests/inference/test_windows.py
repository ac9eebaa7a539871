from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
import torch

import cfnsr
from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.inference.windows import Windowing
from cfnsr.preprocessing import audio, extract, face_boxes, landmarks, media
from tests.inference.conftest import Saved
from tests.inference.test_network import probabilities
from tests.support import networks, prepared
from tests.support.media import numbered, remuxed

PATH = Path("talk.mp4")


@pytest.fixture(scope="module")
def timeline(tmp_path_factory: pytest.TempPathFactory) -> media.Timeline:
    """The times of ten seconds of video."""
    path = numbered(tmp_path_factory.mktemp("video") / "ten.mp4", frames=100, rate=10, sound_s=10.0)  # pyright: ignore[reportArgumentType]
    return media.timeline(path)


def starts(windowing: Windowing, timeline: media.Timeline) -> list[float]:
    return [window.start_s for window in windowing.over(PATH, timeline, "largest")]


def test_windows_follow_each_other_to_the_end(timeline: media.Timeline) -> None:
    windows = Windowing(4.0, 4.0).over(PATH, timeline, "left")
    assert [(window.start_s, window.end_s) for window in windows] == [(0, 4), (4, 8), (8, pytest.approx(10))]
    assert [window.clip.end_s for window in windows] == [4, 8, inf] and windows[0].clip.face == "left"


def test_rest_shorter_than_half_is_left_out(timeline: media.Timeline) -> None:
    assert starts(Windowing(4.1, 4.1), timeline) == [0, 4.1]
    assert starts(Windowing(3.0, 3.0), timeline) == [0, 3, 6]
    assert starts(Windowing(30.0, 30.0), timeline) == [0]


def test_windows_may_overlap(timeline: media.Timeline) -> None:
    assert starts(Windowing(4.0, 1.5), timeline) == [0, 1.5, 3, 4.5, 6, 7.5]


@pytest.mark.parametrize("length_s", [0.0, -1.0, 0.05, inf, float("nan")])
def test_window_of_no_length_is_refused(length_s: float) -> None:
    with pytest.raises(CfnsrError, match="--every"):
        Windowing(1.0, length_s)


def test_long_file_is_read_once_with_the_same_result(
    saved: Callable[..., Saved], studio_actor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, network = saved("averaging", "face_mesh")
    long = remuxed(tmp_path / "long.mp4", sorted(studio_actor.glob("*.mp4"))[:3])
    opened = []
    decoded = audio.decoded
    monkeypatch.setattr(audio, "decoded", lambda *arguments: opened.append(arguments) or decoded(*arguments))
    table = cfnsr.load(path, device="cpu").predict(long, every_s=0.8)
    assert len(table) > 6 and (table["missing"] == "").all()
    assert len(opened) == 2  # once to find the voice, once for all windows
    window_s = prepared.PARAMS.extract.window_s
    options = prepared.PARAMS.extract.model_dump()
    find = landmarks.finder(
        "face_mesh",
        Path("none"),
        offset_s=0.0,
        window_s=window_s,
        frames=options["video"]["frames"],
        decoder="pyav",
        **prepared.PARAMS.landmarks.face_mesh.model_dump(),
    )
    # Each window as a clip of its own, for which the file is read anew.
    for row in [0, 3, len(table) - 1]:
        start_s, end_s = table["start_s"][row], table["end_s"][row]
        clip = Clip("part", long, "01", "sad", start_s=start_s, end_s=end_s if row < len(table) - 1 else inf)
        known = find(clip)
        points = replace(known, points=known.points.astype(np.float32).astype(np.float64))
        boxes = face_boxes.compute(points, **prepared.PARAMS.crop.model_dump(), where=clip.id)
        sample = extract.sample(clip, boxes.boxes, extract.ExtractOptions(**{**options, "offset_s": 0.0}))
        with torch.inference_mode():
            expected = network(networks.NORMALISE(networks.batch_of(sample))).fused.exp().numpy()
        np.testing.assert_allclose(probabilities(table)[row], expected[0], atol=1e-5)
