from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cfnsr.corpora import filenames
from cfnsr.corpora.clip import Clip
from cfnsr.corpora.filenames import Take
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import extract
from cfnsr.preprocessing.extract import ExtractOptions
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.runtime.bad_clips import BadClips
from cfnsr.runtime.checksum import md5
from tests.support.media import number_of, numbered, tone

OPTIONS = ExtractOptions(
    0.5,
    2.45,
    video={"frames": 5, "side_px": 32, "decoder": "pyav"},
    audio={
        "rate_hz": 44100,
        "track": 1,
        "min_sound": 0.5,
        "n_fft": 2048,
        "hop": 512,
        "mels": 128,
        "coefficients": 13,
        "top_db": 80.0,
        "silence_db": -50.0,
    },
)
TWO_THREADS = {"jobs": 2, "backend": "threading", "address": "auto"}


def boxes(count: int) -> FaceBoxes:
    return FaceBoxes(np.tile([160.0, 120.0, 320.0], (count, 1)), np.full(count, 0.9), np.arange(count) < 3)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("clips")
    clips = []
    for number, label in enumerate(("calm", "happy", "sad"), start=1):
        stem = filenames.stem(Take(label, "normal", 1, 1), "01")
        path = numbered(folder / f"{stem}.mp4", frames=60 + number, sound_s=1.5 + number / 2, tone_hz=200.0 * number)
        clips.append(Clip.from_filename(path))
    return clips


def test_clip_becomes_frames_log_mel_and_mfcc(clips: list[Clip]) -> None:
    sample = extract.sample(clips[0], boxes(61).boxes, OPTIONS)
    shapes = {name: array.shape for name, array in sample.arrays.items()}
    assert shapes == {"frames": (5, 32, 32, 3), "mel": (128, 212), "mfcc": (13, 212)}
    assert [number_of(frame) for frame in sample.arrays["frames"]] == [15, 26, 37, 49, 60]
    assert sample.duration_s == pytest.approx(61 * 1001 / 30000, abs=0.01)
    assert sample.padded_s == pytest.approx(0.5 + 2.45 - 2.0, abs=0.05)


@pytest.mark.parametrize("decoder", ["pyav", "decord"])
def test_part_of_a_file_has_its_frames_and_sound(tmp_path: Path, decoder: str) -> None:
    call = numbered(tmp_path / "call.mp4", frames=120, rate=Fraction(30), sound_s=4.0, tone_hz=300.0)
    sound = tone(tmp_path / "call.wav", pitch_hz=900.0, length_s=2.5)
    options = replace(OPTIONS, offset_s=0.2, window_s=1.0, video={**OPTIONS.video, "decoder": decoder})
    part = Clip("part", call, "01", "sad", start_s=1.5, end_s=2.5)
    sample = extract.sample(part, boxes(30).boxes, options)
    assert [number_of(frame) for frame in sample.arrays["frames"]] == [51, 57, 62, 68, 74]
    assert sample.duration_s == pytest.approx(1.0) and sample.padded_s == pytest.approx(0.2, abs=0.001)
    assert sample.sound_offset_s == pytest.approx(0, abs=0.04) and sample.tracks == 1
    other = extract.sample(replace(part, audio=sound, end_s=3.5), boxes(60).boxes, options)
    assert [number_of(frame) for frame in other.arrays["frames"]] == [51, 58, 66, 73, 81]
    assert other.padded_s == pytest.approx(0.2, abs=0.001)  # the file of its sound ends there
    pitches = [int(taken.arrays["mel"][:, 40].argmax()) for taken in (sample, other)]
    assert pitches[1] > pitches[0] + 10
    with pytest.raises(CfnsrError, match="has 60 frames, its landmarks 30"):
        extract.sample(replace(part, end_s=3.5), boxes(30).boxes, options)


def test_parts_of_a_file_are_no_duplicates(clips: list[Clip], tmp_path: Path) -> None:
    sound = tone(tmp_path / "call.wav", pitch_hz=900.0)
    first = clips[0]
    others = [replace(first, start_s=1.0), replace(first, end_s=1.0), replace(first, face="left")]
    rows = extract.index_rows([first, *others, replace(first, audio=sound)], {})
    assert len({row["source_md5"] for row in rows}) == 5 and rows[0]["source_md5"] == md5(first.path)


@pytest.mark.parametrize("workers", [("threading", 1), ("threading", 2), ("loky", 2)])
def test_samples_are_ordered_and_the_same_bytes(clips: list[Clip], workers: tuple[str, int]) -> None:
    faces = {clip.id: boxes(60 + number) for number, clip in enumerate(clips, start=1)}
    backend, jobs = workers
    samples = extract.samples(
        clips, faces, {}, BadClips("fail"), options=OPTIONS, jobs=jobs, backend=backend, address="auto"
    )
    for sample, clip in zip(samples, clips, strict=True):
        assert sample is not None
        expected = extract.sample(clip, faces[clip.id].boxes, OPTIONS)
        for name, array in expected.arrays.items():
            assert np.array_equal(sample.arrays[name], array), name


def test_frames_and_landmarks_must_agree(clips: list[Clip]) -> None:
    with pytest.raises(CfnsrError, match="has 61 frames, its landmarks 60"):
        extract.sample(clips[0], boxes(60).boxes, OPTIONS)


def test_index_rows_describe_the_clips(clips: list[Clip]) -> None:
    faces = {clip.id: boxes(60) for clip in clips}
    rows = extract.index_rows(clips, faces)
    assert [row["label"] for row in rows] == ["calm", "happy", "sad"]
    assert rows[0]["box_side_px"] == 320 and rows[0]["box_interpolated"] == 3 / 60
    assert len({str(row["source_md5"]) for row in rows}) == 3


def test_clip_without_boxes_stops_or_is_skipped(clips: list[Clip]) -> None:
    faces = {clip.id: boxes(60 + number) for number, clip in enumerate(clips, start=1) if number != 2}
    with pytest.raises(CfnsrError, match=rf"{clips[1].id}\.mp4: has no landmarks.*or set on_bad_clip: skip"):
        list(extract.samples(clips, faces, {}, BadClips("fail"), options=OPTIONS, **TWO_THREADS))
    bad = BadClips("skip")
    samples = list(extract.samples(clips, faces, {clips[1].id: "hidden face"}, bad, options=OPTIONS, **TWO_THREADS))
    assert [sample is None for sample in samples] == [False, True, False]
    assert bad.skipped == {clips[1].id: "hidden face"}
    assert extract.index_rows(clips, faces)[1]["label"] == "happy"


@pytest.mark.parametrize(
    "square", [(160.0, 120.0, 641.0), (-200.0, 120.0, 80.0), (160.0, 1e9, 80.0), (160.0, 1.0, 1e12)]
)
def test_box_of_another_video_is_refused(clips: list[Clip], square: tuple[float, float, float]) -> None:
    with pytest.raises(CfnsrError, match="lies outside the frame of 320x240"):
        extract.sample(clips[0], np.tile(square, (61, 1)), OPTIONS)
