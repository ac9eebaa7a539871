from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cfnsr
from cfnsr.errors import CfnsrError
from cfnsr.inference import recordings
from cfnsr.inference.recordings import FileSource, Recording
from cfnsr.preprocessing import audio, media, video
from tests.inference.conftest import Saved
from tests.inference.test_network import probabilities
from tests.support.media import number_of, numbered


def test_arrays_are_predicted_as_their_file(saved: Callable[..., Saved], studio_actor: Path) -> None:
    path, _ = saved("averaging", "face_mesh")
    clip = sorted(studio_actor.glob("*.mp4"))[0]
    timeline = media.timeline(clip)
    frames = [frame.image for frame in video.frames(clip, timeline, list(range(len(timeline.pts))), decoder="pyav")]
    samples, _ = audio.waveform(clip, timeline, rate_hz=48000, offset_s=0.0, window_s=timeline.duration_s)
    given = Recording(np.stack(frames), timeline.frame_rate_hz, samples, 48000, name="in memory")
    model = cfnsr.load(path, device="cpu")
    of_file, of_arrays = model.predict(clip), model.predict(given)
    assert of_arrays["file"][0] == "in memory" and (of_arrays["missing"] == "").all()
    np.testing.assert_allclose(probabilities(of_arrays), probabilities(of_file), atol=1e-3)


def test_recording_without_anything_is_refused(saved: Callable[..., Saved]) -> None:
    path, _ = saved("audio")
    with pytest.raises(CfnsrError, match="has neither frames nor samples"):
        cfnsr.load(path).predict(Recording())


def test_folder_gives_its_recordings(tmp_path: Path) -> None:
    for name in ("b.mp4", "a/c.wav", "notes.txt", "a/.hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    given = Recording(samples=np.zeros(9, np.float32))
    assert recordings.listed([tmp_path, given]) == [tmp_path / "a/c.wav", tmp_path / "b.mp4", given]
    with pytest.raises(CfnsrError, match="has no video and no sound file"):
        (tmp_path / "empty").mkdir()
        recordings.listed(str(tmp_path / "empty"))
    with pytest.raises(CfnsrError, match="does not exist"):
        recordings.listed(tmp_path / "nothing.mp4")


def test_only_frames_that_are_needed_are_kept(tmp_path: Path) -> None:
    path = numbered(tmp_path / "clip.mp4", frames=60, sound_s=None)
    source = FileSource(path)
    source.expect([3, 7, 40, 41])
    assert [number_of(frame.image) for frame in source.frames([3, 7, 7])] == [3, 7, 7]
    source.forget(7)
    assert number_of(next(source.frames([40])).image) == 40
    # What was forgotten, or was not expected, is decoded again.
    assert [number_of(frame.image) for frame in source.frames([3, 20, 41])] == [3, 20, 41]


def test_sound_may_be_read_again_from_the_start(tmp_path: Path) -> None:
    path = numbered(tmp_path / "clip.mp4", frames=30, sound_s=3.0)
    source = FileSource(path)
    times = [[time_s for time_s, _ in source.sound(1, from_s)] for from_s in (0.0, 1.0, 2.0, 0.5)]
    assert times[0] == [time_s for time_s, _ in audio.decoded(path, 1)]
    assert times[1] == [time_s for time_s in times[0] if time_s + 1024 / 48000 >= 1.0]
    assert times[3][0] < 0.5 < times[3][1] + 1024 / 48000 and times[3][-1] == times[0][-1]


def test_file_that_is_cut_says_which_windows_lack_it(saved: Callable[..., Saved], tmp_path: Path) -> None:
    path, _ = saved("video", "face_mesh")
    whole = numbered(tmp_path / "clip.mp4", frames=150, sound_s=None, faststart=True)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    table = cfnsr.load(path, device="cpu").predict(cut)
    assert (table["missing"] == "face").all() and table["emotion"].isna().all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": np.zeros((2, 8, 8, 3), np.float32)},
        {"frames": np.zeros((2, 8, 8), np.uint8)},
        {"frame_rate_hz": -25.0},
        {"frame_rate_hz": float("nan")},
        {"samples": np.zeros(16, np.int16)},
        {"samples": np.zeros((16, 2), np.float32)},
        {"samples": np.full(16, np.nan, np.float32)},
        {"rate_hz": 0},
    ],
)
def test_wrong_arrays_are_refused(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"frames": np.zeros((2, 8, 8, 3), np.uint8), "samples": np.zeros(16, np.float32)}
    recording = Recording(**right)
    recordings.ArraySource(recording)
    for name, value in wrong.items():
        object.__setattr__(recording, name, value)  # types are checked in tests alone, when it is made
    with pytest.raises(CfnsrError, match=r"^recording: .*Give "):
        recordings.ArraySource(recording)
