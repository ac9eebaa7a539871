from __future__ import annotations

import platform
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfnsr import video
from cfnsr.errors import CfnsrError
from tests.media import number_of, numbered


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered(tmp_path_factory.mktemp("video") / "clip.mp4", frames=100)


def test_timeline_counts_every_frame_and_its_rate(clip: Path) -> None:
    when = video.timeline(clip)
    assert len(when.pts) == 100
    assert when.frame_rate_hz == pytest.approx(30000 / 1001, rel=1e-4)
    assert when.duration_s == pytest.approx(100 * 1001 / 30000, abs=1e-3)


@pytest.mark.parametrize("b_frames", [0, 3])
def test_frames_are_those_asked_for(tmp_path: Path, b_frames: int) -> None:
    path = numbered(tmp_path / "clip.mp4", frames=61, b_frames=b_frames)
    pts = video.timeline(path).pts
    chosen = video.evenly_spaced(61, 9)
    assert (
        [number_of(image) for image in video.frames(path, pts, chosen)] == chosen == [0, 8, 15, 22, 30, 38, 45, 52, 60]
    )


def test_selective_decoding_changes_no_pixel_and_decodes_fewer_frames(clip: Path) -> None:
    with av.open(str(clip)) as container:
        everything = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    chosen = video.evenly_spaced(100, 12)
    for index, image in zip(chosen, video.frames(clip, video.timeline(clip).pts, chosen), strict=True):
        assert np.array_equal(image, everything[index])
    decoded = 0
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        stream.codec_context.skip_frame = "NONREF"
        decoded = sum(1 for _ in container.decode(stream))
    assert decoded < len(everything)  # the file has frames that selective decoding can drop


# As the marker in pyproject.toml: decord is published for these alone, so elsewhere there is nothing to compare with.
@pytest.mark.skipif((sys.platform, platform.machine()) != ("linux", "x86_64"), reason="decord has no wheel here")
def test_decord_sees_the_same_frames(clip: Path) -> None:
    import decord  # where it has a wheel it must be there: missing, it fails

    reader = decord.VideoReader(str(clip))
    chosen = video.evenly_spaced(len(reader), 10)
    ours = list(video.frames(clip, video.timeline(clip).pts, chosen))
    assert [number_of(image) for image in reader.get_batch(chosen).asnumpy()] == [number_of(image) for image in ours]


def test_a_frame_may_be_asked_for_twice(clip: Path) -> None:
    pts = video.timeline(clip).pts
    assert [number_of(image) for image in video.frames(clip, pts, [4, 4, 5])] == [4, 4, 5]


@given(available=st.integers(1, 500), wanted=st.integers(1, 60))
def test_evenly_spaced_spans_the_clip(available: int, wanted: int) -> None:
    chosen = video.evenly_spaced(available, wanted)
    assert len(chosen) == wanted and chosen[0] == 0 and chosen == sorted(chosen)
    assert chosen[-1] == (available - 1 if wanted > 1 else 0)
    gaps = np.diff(chosen)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1


def test_files_without_pictures_are_one_clear_line(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    with pytest.raises(CfnsrError, match=r"text\.mp4: not a readable media file"):
        video.timeline(text)
    with pytest.raises(CfnsrError, match="not a readable media file"):
        video.timeline(tmp_path / "absent.mp4")
    cut = tmp_path / "cut.mp4"
    whole = numbered(tmp_path / "whole.mp4", frames=60).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])  # the index stands at the end, so it is gone
    with pytest.raises(CfnsrError, match=r"cut\.mp4"):
        video.timeline(cut)


@pytest.mark.parametrize("box", [(50.0, 50.0, 40.0), (5.0, 50.0, 40.0), (95.0, 98.0, 60.0), (50.0, 50.0, 300.0)])
def test_crop_agrees_with_a_padded_picture(box: tuple[float, float, float]) -> None:
    image = np.random.default_rng(1).integers(0, 255, (100, 100, 3), dtype=np.uint8)
    x, y, side = (int(value) for value in box)
    padded = np.pad(image, ((300, 300), (300, 300), (0, 0)), mode="edge")
    expected = padded[300 + y - side // 2 : 300 + y + side // 2, 300 + x - side // 2 : 300 + x + side // 2]
    assert np.array_equal(video.crop(image, np.array(box), side), expected)


def test_crop_scales_to_the_size_asked_for() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[50:150, 50:150] = 255
    small = video.crop(image, np.array([100.0, 100.0, 200.0]), 20)
    assert small.shape == (20, 20, 3)
    assert small[5:15, 5:15].min() == 255 and small[:4].max() == 0
