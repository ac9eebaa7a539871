from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import video
from cfnsr.preprocessing.video import pyav
from tests.support.media import TICKS, number_of, numbered

# As in pyproject.toml: decord is published only for these platforms, and must be installed there.
HAS_DECORD = (sys.platform, platform.machine()) in {("linux", "x86_64"), ("win32", "AMD64")}
DECODERS = [name for name in video.names() if name != "decord" or HAS_DECORD]
JERKY = np.cumsum(np.random.default_rng(3).choice([1500, 3000, 3750, 9000], 40)).tolist()  # 10 to 60 frames a second

FILES: dict[str, dict[str, Any]] = {
    "with B-frames": {},
    "without B-frames": {"b_frames": 0},
    "at a rate that varies": {"frames": 40, "ticks": JERKY},
    "of odd size": {"width": 321, "height": 243, "pixels": "yuv444p"},
    "of odd size, colours halved": {"width": 321, "height": 243, "codec": "mpeg4"},
    "turned left": {"rotated": 90},
    "upside down": {"rotated": 180},
    "turned right": {"rotated": 270},
    "with the index first": {"faststart": True},
    "without sound": {"sound_s": None},
    "of ten bits": {"pixels": "yuv420p10le"},
    "of one frame": {"frames": 1},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered(tmp_path_factory.mktemp("video") / "clip.mp4", frames=100)


def test_timeline_has_every_frame_and_the_rate(clip: Path) -> None:
    when = video.timeline(clip)
    assert len(when.pts) == 100
    assert when.frame_rate_hz == pytest.approx(30000 / 1001, rel=1e-4)
    assert when.duration_s == pytest.approx(100 * 1001 / 30000, abs=1e-3)


def test_both_decoders_are_known() -> None:
    assert video.names() == ["decord", "pyav"]


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("kind", FILES)
def test_decoders_give_frames_as_players_show_them(tmp_path: Path, decoder: str, kind: str) -> None:
    options = {"frames": 61, **FILES[kind]}
    path = numbered(tmp_path / "clip.mp4", **options)
    pts = video.timeline(path).pts
    assert len(pts) == options["frames"]
    chosen = [index * (len(pts) - 1) // 8 for index in range(9)]
    images = list(video.frames(path, pts, chosen, decoder=decoder))
    assert [number_of(image) for image in images] == chosen
    assert {image.shape for image in images} == {(options.get("height", 240), options.get("width", 320), 3)}


def test_selective_decoding_is_exact_and_decodes_less(clip: Path) -> None:
    with av.open(str(clip)) as container:
        everything = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    pts = video.timeline(clip).pts
    chosen = [0, 9, 18, 27, 36, 45, 54, 63, 72, 81, 90, 99]
    for index, image in zip(chosen, video.frames(clip, pts, chosen, decoder="pyav"), strict=True):
        assert np.array_equal(image, everything[index])
    needed = frozenset(pts[index] for index in chosen)
    decoded = {frame.pts for frame in pyav.decode(clip, needed)}
    assert needed <= decoded and len(decoded) <= 0.7 * len(everything)


def test_frame_can_be_repeated(clip: Path) -> None:
    pts = video.timeline(clip).pts
    for decoder in DECODERS:
        images = video.frames(clip, pts, [4, 4, 5], decoder=decoder)
        assert [number_of(image) for image in images] == [4, 4, 5]


@given(
    gaps=st.lists(st.integers(1, 9000), min_size=0, max_size=300),
    start=st.integers(-90000, 90000),
    count=st.integers(1, 60),
)
def test_chosen_frames_are_nearest_to_even_times(gaps: list[int], start: int, count: int) -> None:
    pts = tuple(np.cumsum([start, *gaps]).tolist())
    chosen = video.evenly_spaced(pts, count)
    assert len(chosen) == count and chosen[0] == 0 and chosen == sorted(chosen)
    assert chosen[-1] == (len(pts) - 1 if count > 1 else 0)
    for moment, index in zip(np.linspace(pts[0], pts[-1], count), chosen, strict=True):
        assert abs(pts[index] - moment) == pytest.approx(np.abs(np.array(pts) - moment).min(), abs=1e-6)


def test_steady_rate_gives_even_indices() -> None:
    assert video.evenly_spaced(tuple(range(0, 61 * 3003, 3003)), 7) == [0, 10, 20, 30, 40, 50, 60]
    assert video.evenly_spaced(tuple(range(0, 3 * 3003, 3003)), 6) == [0, 0, 1, 1, 2, 2]


def test_varying_rate_is_sampled_evenly_in_time(tmp_path: Path) -> None:
    """A camera that slows to a tenth: by count the first second would have ten frames of eleven."""
    ticks = [number * TICKS // 30 for number in range(30)] + [TICKS + number * TICKS // 3 for number in range(6)]
    path = numbered(tmp_path / "clip.mp4", frames=36, ticks=ticks)
    when = video.timeline(path)
    chosen = video.evenly_spaced(when.pts, 5)
    assert np.diff([when.pts[index] for index in chosen]) / np.diff(when.pts).max() == pytest.approx(2, abs=0.6)
    assert [number_of(image) for image in video.frames(path, when.pts, chosen, decoder="pyav")] == chosen


def test_rotation_other_than_quarter_turns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.set_display_rotation(30)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((240, 320, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(CfnsrError, match=r"clip\.mp4: is rotated by -?(29|30) degrees"):
        list(video.frames(path, video.timeline(path).pts, [0], decoder="pyav"))


def test_missing_decord_is_named_with_its_extra(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(
        CfnsrError, match=r"decord is not installed.*Run `pip install 'cfnsr\[decord\]'`, or set it to pyav"
    ):
        list(video.frames(clip, video.timeline(clip).pts, [0], decoder="decord"))


@pytest.mark.parametrize("box", [(50.0, 50.0, 40.0), (5.0, 50.0, 40.0), (95.0, 98.0, 60.0), (50.0, 50.0, 300.0)])
def test_crop_repeats_the_edge_of_the_picture(box: tuple[float, float, float]) -> None:
    image = np.random.default_rng(1).integers(0, 255, (100, 100, 3), dtype=np.uint8)
    x, y, side = (int(value) for value in box)
    padded = np.pad(image, ((300, 300), (300, 300), (0, 0)), mode="edge")
    expected = padded[300 + y - side // 2 : 300 + y + side // 2, 300 + x - side // 2 : 300 + x + side // 2]
    assert np.array_equal(video.crop(image, np.array(box), side), expected)


def test_crop_is_scaled() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[50:150, 50:150] = 255
    small = video.crop(image, np.array([100.0, 100.0, 200.0]), 20)
    assert small.shape == (20, 20, 3)
    assert small[5:15, 5:15].min() == 255 and small[:4].max() == 0
