from __future__ import annotations

import gc
import platform
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import media, video
from cfnsr.preprocessing.container import open_media
from cfnsr.preprocessing.display import Frame
from cfnsr.preprocessing.video import pyav
from tests.support.media import TICKS, number_of, numbered, remuxed

# As in pyproject.toml: decord is published only for these platforms, and must be installed there.
HAS_DECORD = (sys.platform, platform.machine()) in {("linux", "x86_64"), ("win32", "AMD64")}
DECODERS = [name for name in video.names() if name != "decord" or HAS_DECORD]
JERKY = np.cumsum(np.random.default_rng(3).choice([1500, 3000, 3750, 9000], 40)).tolist()  # 10 to 60 frames a second
GRAIN = 40  # where pixels are compared

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
    return numbered(tmp_path_factory.mktemp("video") / "clip.mp4", frames=100, grain=GRAIN)


def test_both_decoders_are_known() -> None:
    assert video.names() == ["decord", "pyav"]


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("kind", FILES)
def test_decoders_give_frames_as_players_show_them(tmp_path: Path, decoder: str, kind: str) -> None:
    options = {"frames": 61, **FILES[kind]}
    path = numbered(tmp_path / "clip.mp4", **options)
    timeline = media.timeline(path)
    assert len(timeline.pts) == options["frames"]
    chosen = [index * (len(timeline.pts) - 1) // 8 for index in range(9)]
    images = [frame.image for frame in video.frames(path, timeline, chosen, decoder=decoder)]
    assert [number_of(image) for image in images] == chosen
    assert {image.shape for image in images} == {(options.get("height", 240), options.get("width", 320), 3)}


def test_selective_decoding_is_exact_and_decodes_less(clip: Path) -> None:
    with av.open(str(clip)) as container:
        everything = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    timeline = media.timeline(clip)
    chosen = [0, 9, 18, 27, 36, 45, 54, 63, 72, 81, 90, 99]
    for index, frame in zip(chosen, video.frames(clip, timeline, chosen, decoder="pyav"), strict=True):
        assert np.array_equal(frame.image, everything[index])
    needed = frozenset(timeline.pts[index] for index in chosen)
    with open_media(clip) as container:
        decoded = {pts for pts, _ in pyav.decode(container, container.streams.video[0], timeline, needed)}
    assert needed <= decoded and len(decoded) <= 0.7 * len(everything)


def test_frames_without_deblocking_are_the_same_but_for_few_values(clip: Path) -> None:
    chosen, timeline = [0, 20, 41], media.timeline(clip)
    filtered, plain = (
        [frame.image.astype(int) for frame in video.frames(clip, timeline, chosen, decoder="pyav", deblock=deblock)]
        for deblock in (True, False)
    )
    assert [number_of(image.astype(np.uint8)) for image in plain] == chosen
    assert 0 < np.abs(np.subtract(filtered, plain)).mean() < 3


def test_shown_frames_leave_no_reference_cycle(clip: Path) -> None:
    timeline = media.timeline(clip)
    gc.collect()
    gc.disable()
    try:
        assert len(list(video.frames(clip, timeline, [*range(10)], decoder="pyav"))) == 10
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert not [item for item in gc.garbage if isinstance(item, av.VideoFrame)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_frame_can_be_repeated(clip: Path) -> None:
    for decoder in DECODERS:
        frames = video.frames(clip, media.timeline(clip), [4, 4, 5], decoder=decoder)
        assert [number_of(frame.image) for frame in frames] == [4, 4, 5]


@given(
    gaps=st.lists(st.integers(1, 9000), min_size=0, max_size=300),
    start=st.integers(0, 90000),
    count=st.integers(1, 60),
)
def test_chosen_frames_are_nearest_to_even_times(gaps: list[int], start: int, count: int) -> None:
    times_s = np.cumsum([start, *gaps]) / TICKS
    chosen = video.evenly_spaced(times_s, count)
    assert len(chosen) == count and chosen[0] == 0 and chosen == sorted(chosen)
    assert chosen[-1] == (len(times_s) - 1 if count > 1 else 0)
    for moment_s, index in zip(np.linspace(times_s[0], times_s[-1], count), chosen, strict=True):
        assert abs(times_s[index] - moment_s) == pytest.approx(np.abs(times_s - moment_s).min(), abs=2e-6)


def test_steady_rate_gives_even_indices() -> None:
    assert video.evenly_spaced(np.arange(61) / 30, 7) == [0, 10, 20, 30, 40, 50, 60]
    assert video.evenly_spaced(np.arange(3) / 30, 6) == [0, 0, 1, 1, 2, 2]


def test_frames_come_from_the_window() -> None:
    times_s = np.arange(61 * 25) / 25  # a minute, of which the window is two seconds
    assert video.evenly_spaced(times_s, 5, offset_s=1.0, window_s=2.0) == [25, 37, 50, 62, 75]
    assert video.evenly_spaced(times_s[:40], 3, offset_s=1.0, window_s=2.0) == [25, 32, 39]
    assert video.evenly_spaced(times_s[:10], 3, offset_s=1.0, window_s=2.0) == [9, 9, 9]


def test_varying_rate_is_sampled_evenly_in_time(tmp_path: Path) -> None:
    """A camera that slows to a tenth: by count the first second would have ten frames of eleven."""
    ticks = [number * TICKS // 30 for number in range(30)] + [TICKS + number * TICKS // 3 for number in range(6)]
    path = numbered(tmp_path / "clip.mp4", frames=36, ticks=ticks)
    when = media.timeline(path)
    chosen = video.evenly_spaced(when.times_s, 5)
    assert np.diff(when.times_s[chosen]) / np.diff(when.times_s).max() == pytest.approx(2, abs=0.6)
    assert [number_of(frame.image) for frame in video.frames(path, when, chosen, decoder="pyav")] == chosen


def test_rotation_other_than_quarter_turns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.set_display_rotation(30)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((240, 320, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(CfnsrError, match=r"clip\.mp4: is turned by other than quarter turns"):
        list(video.frames(path, media.timeline(path), [0], decoder="pyav"))


ONE = 1 << 16  # display matrices are in 16.16 fixed point
MATRICES = {
    "as stored": ([ONE, 0, 0, ONE], lambda image: image),
    "mirrored": ([-ONE, 0, 0, ONE], lambda image: image[:, ::-1]),
    "upside down": ([ONE, 0, 0, -ONE], lambda image: image[::-1]),
    "turned and mirrored": ([0, ONE, ONE, 0], lambda image: image.transpose(1, 0, 2)),
    "at half its size": ([ONE // 2, 0, 0, ONE // 2], lambda image: image),
}


@pytest.mark.parametrize("kind", MATRICES)
def test_display_matrix_is_applied(tmp_path: Path, kind: str) -> None:
    (a, b, c, d), show = MATRICES[kind]
    path = numbered(tmp_path / "clip.mp4", frames=1, first=5, grain=GRAIN, matrix=[a, b, 0, c, d, 0, 0, 0, 1 << 30])
    stored = numbered(tmp_path / "stored.mp4", frames=1, first=5, grain=GRAIN)
    (shown,), (plain,) = (frames(video_path, [0]) for video_path in (path, stored))
    assert shown.shape == show(plain).shape and np.array_equal(shown, show(plain))


def frames(path: Path, indices: list[int], decoder: str = "pyav") -> list[np.ndarray]:
    return [frame.image for frame in video.frames(path, media.timeline(path), indices, decoder=decoder)]


@pytest.mark.parametrize("ratio", [Fraction(4, 3), Fraction(2), Fraction(8, 9)])
def test_pixels_become_square(tmp_path: Path, ratio: Fraction) -> None:
    path = numbered(tmp_path / "clip.mp4", frames=3, first=5, grain=GRAIN, pixel_ratio=ratio)
    (shown,) = frames(path, [1])
    assert shown.shape == (240, round(320 * ratio), 3)
    (stored,) = frames(numbered(tmp_path / "stored.mp4", frames=3, first=5, grain=GRAIN), [1])
    expected = cv2.resize(stored, (shown.shape[1], 240), interpolation=cv2.INTER_LINEAR)
    assert np.abs(shown.astype(int) - expected).mean() < 2.5


def test_changed_size_is_scaled_and_counted(tmp_path: Path) -> None:
    large = numbered(tmp_path / "large.ts", frames=30, sound_s=1.0, b_frames=0)
    small = numbered(tmp_path / "small.ts", frames=30, first=30, sound_s=1.0, width=160, height=120, b_frames=0)
    path = remuxed(tmp_path / "clip.mkv", [large, small])
    shown = list(video.frames(path, media.timeline(path), [0, 29, 31, 58], decoder="pyav"))
    assert {frame.image.shape for frame in shown} == {(240, 320, 3)}
    assert [frame.scaled for frame in shown] == [False, False, True, True]
    assert [number_of(frame.image) for frame in shown] == [0, 29, 31, 58]


REFUSED_BY_DECORD = {
    "program stream": ("clip.mpg", {"codec": "mpeg2video", "sound_codec": "mp2", "rate": Fraction(25), "b_frames": 2}),
    "AVI": ("clip.avi", {"sound_codec": "libmp3lame"}),
    "mirrored": ("clip.mp4", {"matrix": [-ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30]}),
    "pixels not square": ("clip.mp4", {"pixel_ratio": Fraction(4, 3)}),
    "very small": ("clip.mp4", {"width": 16, "height": 16}),
}


@pytest.mark.skipif(
    "decord" not in DECODERS,
    reason="decord is published for Linux and Windows on x86-64 only, and installed only there",
)
@pytest.mark.parametrize("kind", REFUSED_BY_DECORD)
def test_decord_gives_right_frames_or_refuses(tmp_path: Path, kind: str) -> None:
    name, options = REFUSED_BY_DECORD[kind]
    path = numbered(tmp_path / name, frames=40, grain=GRAIN, **options)
    chosen = [0, 9, 22, 39]
    try:
        shown = frames(path, chosen, "decord")
    except CfnsrError as error:
        assert "Set extract.video.decoder to pyav" in str(error)
    else:
        for image, expected in zip(shown, frames(path, chosen), strict=True):
            assert np.abs(image.astype(int) - expected).mean() < 3


def test_missing_decord_is_named_with_its_extra(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(
        CfnsrError, match=r"decord is not installed.*Run `pip install 'cfnsr\[decord\]'`, or set it to pyav"
    ):
        list(video.frames(clip, media.timeline(clip), [0], decoder="decord"))


@pytest.mark.parametrize("box", [(50.0, 50.0, 40.0), (5.0, 50.0, 40.0), (95.0, 98.0, 60.0), (50.0, 50.0, 300.0)])
def test_crop_repeats_the_edge_of_the_picture(box: tuple[float, float, float]) -> None:
    image = np.random.default_rng(1).integers(0, 255, (100, 100, 3), dtype=np.uint8)
    x, y, side = (int(value) for value in box)
    padded = np.pad(image, ((300, 300), (300, 300), (0, 0)), mode="edge")
    expected = padded[300 + y - side // 2 : 300 + y + side // 2, 300 + x - side // 2 : 300 + x + side // 2]
    assert np.array_equal(Frame.of(image).crop(np.array(box), side), expected)


PARTS = {
    "even size": {"width": 326, "height": 246},
    "full range": {"width": 326, "height": 246, "pixels": "yuvj420p"},
    "odd size": {"width": 321, "height": 243, "pixels": "yuv444p"},
    "ten bits": {"width": 326, "height": 246, "pixels": "yuv420p10le"},
    "turned": {"width": 326, "height": 246, "rotated": 90},
    "turned and mirrored": {"width": 326, "height": 246, "matrix": [0, -ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30]},
    "pixels not square": {"width": 326, "height": 246, "pixel_ratio": Fraction(4, 3)},
}


@pytest.mark.parametrize("kind", PARTS)
def test_part_of_a_frame_is_converted_exactly(tmp_path: Path, kind: str) -> None:
    path = numbered(tmp_path / "clip.mp4", frames=1, first=5, grain=GRAIN, sound_s=None, **PARTS[kind])
    (frame,) = video.frames(path, media.timeline(path), [0], decoder="pyav")
    for left, top, width, height in [(0, 0, 31, 40), (37, 51, 100, 99), (frame.width - 33, frame.height - 60, 33, 60)]:
        part = frame.cut((left, top, width, height))
        assert np.array_equal(part, frame.image[top : top + height, left : left + width])


def test_crop_is_scaled() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[50:150, 50:150] = 255
    small = Frame.of(image).crop(np.array([100.0, 100.0, 200.0]), 20)
    assert small.shape == (20, 20, 3)
    assert small[5:15, 5:15].min() == 255 and small[:4].max() == 0
