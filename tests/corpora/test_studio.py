from __future__ import annotations

import time
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from hypothesis import given
from hypothesis import strategies as st

from cfnsr import corpora
from cfnsr.corpora import filenames, studio
from cfnsr.corpora.source import Source
from cfnsr.corpora.studio import design, identity, speech
from cfnsr.corpora.studio import openface as written
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import audio, face_boxes, landmarks, video
from cfnsr.preprocessing.landmarks import Track, openface
from cfnsr.runtime.bad_clips import BadClips

OPTIONS: dict[str, Any] = {
    "seed": 1,
    "statements": [1],
    "repetitions": 1,
    "intensities": ["normal"],
    "width": 640,
    "height": 360,
    "frame_rate": "30000/1001",
    "crf": 23,
    "x264_preset": "superfast",
    "b_frames": 3,
    "rate_hz": 48000,
    "face_noise": 1.0,
    "pose_noise": 1.0,
    "voice_noise": 1.0,
    "hiss_db": -62.0,
}


def made(folder: Path, actor: str = "04", jobs: int = 2, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    nowhere = Source("http://127.0.0.1:1", None, folder, tries=1, wait_s=0, timeout_s=1)
    studio.prepare(actor, folder, **{**OPTIONS, **changes}, source=nowhere, jobs=jobs)
    return folder


@pytest.fixture(scope="module")
def actor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("studio"))


@given(
    label=st.sampled_from(filenames.LABELS),
    intensity=st.sampled_from(filenames.INTENSITIES),
    statement=st.integers(1, 2),
    repetition=st.integers(1, 2),
    number=st.integers(0, 99),
)
def test_a_name_says_all_that_it_was_made_from(
    label: str, intensity: str, statement: int, repetition: int, number: int
) -> None:
    fields = {
        "label": label,
        "intensity": intensity,
        "statement": statement,
        "repetition": repetition,
        "actor": f"{number:02d}",
    }
    path = Path("folder") / f"{filenames.name(**fields)}.mp4"
    clip = filenames.parse(path)
    assert {name: getattr(clip, name) for name in fields} == fields and clip.path == path


@pytest.mark.parametrize(
    "stem",
    [
        "01-01-03-01-02-01",
        "01-01-09-01-02-01-04",
        "01-01-03-01-02-01-4",
        "talk",
        "",
        "01-01-03-01-02-01-04\n",
        "٠١-01-03-01-02-01-04",
        "01-01-03-01-02-01-04-$(id)",
    ],
)
def test_other_names_are_refused_with_the_file(stem: str) -> None:
    with pytest.raises(CfnsrError, match="not a RAVDESS file name"):
        filenames.parse(Path(f"{stem}.mp4"))


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(CfnsrError, match="there is no corpus 'cremad'"):
        corpora.get("cremad")
    with pytest.raises(CfnsrError, match="'4' is not two digits"):
        identity.of("4", 1)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match="holds no video"):
        studio.clips(tmp_path, BadClips("fail"))


def test_an_actor_has_every_emotion_once_and_a_landmark_file_each(actor: Path) -> None:
    clips = studio.clips(actor, BadClips("fail"))
    assert [clip.label for clip in clips] == list(filenames.LABELS)
    assert {path.stem for path in actor.glob("*.csv")} == {clip.id for clip in clips}
    wanted = studio.expected("04", **OPTIONS)
    assert wanted == Counter(clip.label for clip in clips)


def test_sixty_clips_an_actor_at_the_corpuss_full_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names: list[str] = []
    monkeypatch.setattr(studio.film, "write", lambda path, *args, **options: (names.append(path.stem), path.touch()))
    monkeypatch.setattr(
        studio.acting, "perform", lambda rest, eyes_px, face, loudness, *args: rest[None].repeat(len(loudness), axis=0)
    )
    made(tmp_path, statements=[1, 2], repetitions=2, intensities=["normal", "strong"])
    assert len(names) == len(set(names)) == 60
    assert sum(filenames.parse(Path(name)).label == "neutral" for name in names) == 4


def test_files_are_what_ravdess_ships(actor: Path) -> None:
    for path in sorted(actor.glob("*.mp4"))[:3]:
        with av.open(str(path)) as container:
            picture, sound = container.streams.video[0], container.streams.audio[0]
            assert (picture.codec_context.name, picture.width, picture.height) == ("h264", 640, 360)
            assert picture.average_rate == Fraction(30000, 1001) and picture.codec_context.pix_fmt == "yuv420p"
            assert (sound.codec_context.name, sound.rate) == ("aac", 48000)
            kinds = [PictureType(frame.pict_type).name for frame in container.decode(picture)]
        assert kinds.count("B") > len(kinds) / 2
        when = video.timeline(path)
        assert 2.94 <= when.duration_s <= 5.27
        track = openface.read(path.with_suffix(".csv"))
        assert len(track.points) == len(when.pts) == len(kinds)
        header = (path.with_suffix(".csv")).read_text().splitlines()[0].split(",")
        assert len(header) == 712 and header[297] == "x_0" and header[365] == "y_0" and header[2] == "confidence"


def test_landmarks_follow_the_picture(actor: Path) -> None:
    """The pupils are dark and the skin between the eyes is not, wherever the head went."""
    path = sorted(actor.glob("*.mp4"))[0]
    track = openface.read(path.with_suffix(".csv"))
    chosen = [int(index) for index in np.linspace(0, len(track.points) - 1, 12)]
    for index, image in zip(chosen, video.frames(path, video.timeline(path).pts, chosen, decoder="pyav"), strict=True):
        eyes = [track.points[index, part].mean(axis=0) for part in (slice(36, 42), slice(42, 48))]
        root = track.points[index, 27]
        dark = [image[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4].mean() for x, y in eyes]
        skin = image[int(root[1]) - 3 : int(root[1]) + 4, int(root[0]) - 3 : int(root[0]) + 4].mean()
        assert max(dark) < 0.8 * skin
    assert np.ptp(track.points[:, 30], axis=0).max() > 1  # the head moves


def test_the_same_seed_makes_the_same_bytes_whatever_the_schedule(actor: Path, tmp_path: Path) -> None:
    # Actor 04's voice is a breathy one, whose noise espeak-ng seeds from the clock, in whole seconds, if it is let.
    time.sleep(1.1)
    again = made(tmp_path / "again", jobs=1)
    other = made(tmp_path / "other", seed=2)
    for path in actor.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name
        assert path.read_bytes() != (other / path.name).read_bytes(), path.name


def test_each_modality_confuses_its_pairs_and_both_together_none() -> None:
    assert len(set(design.EMOTIONS.values())) == len(design.EMOTIONS) == 8
    assert list(design.EMOTIONS) == list(filenames.LABELS)

    def pairs(part: int) -> set[frozenset[str]]:
        rows = [row[part] for row in design.EMOTIONS.values()]
        return {frozenset(name for name, row in design.EMOTIONS.items() if row[part] == one) for one in rows}

    faces, voices = pairs(0), pairs(1)
    assert {len(pair) for pair in faces | voices} == {2} and not faces & voices
    quiet = np.random.default_rng(0)
    assert design.face("happy", "normal", 0.0, quiet) == design.face("surprised", "normal", 0.0, quiet)
    assert design.voice("happy", "normal", 0.0, quiet) == design.voice("angry", "normal", 0.0, quiet)
    assert len({design.face(name, "normal", 0.0, quiet) for name in design.EMOTIONS}) == 4
    assert len({design.voice(name, "normal", 0.0, quiet) for name in design.EMOTIONS}) == 4


def test_a_strong_clip_shows_more_and_noise_makes_clips_differ() -> None:
    quiet = np.random.default_rng(0)
    assert design.face("happy", "strong", 0.0, quiet).smile > design.face("happy", "normal", 0.0, quiet).smile
    random = np.random.default_rng(0)
    smiles = [design.face("happy", "normal", 1.0, random).smile for _ in range(200)]
    assert 0.04 < np.std(smiles) < 0.12 and max(smiles) <= 0.28


def test_voices_of_the_four_rows_differ_in_what_the_table_says() -> None:
    who = identity.of("02", 1)
    sounds = {name: speech.utter(1, who, voice, 48000) for name, voice in design.VOICES.items()}
    loudness = {name: 20 * np.log10(np.sqrt((sound**2).mean())) for name, sound in sounds.items()}
    assert loudness["strong"] - loudness["level"] == pytest.approx(8, abs=2)
    assert loudness["soft"] - loudness["level"] == pytest.approx(-12, abs=2)
    assert sounds["high"].size < sounds["level"].size < sounds["soft"].size
    assert np.array_equal(sounds["level"], speech.utter(1, who, design.VOICES["level"], 48000))


def test_actors_differ_and_stay_who_they_are() -> None:
    people = [identity.of(f"{number:02d}", 1) for number in range(1, 25)]
    assert len(set(people)) == 24 and people[6] == identity.of("07", 1) != identity.of("07", 2)
    assert all("+m" in person.variant for person in people[::2]) and all(
        "+f" in person.variant for person in people[1::2]
    )
    assert {person.mirrored for person in people} == {True, False}
    for person in people:
        assert speech.utter(1, person, design.VOICES["level"], 48000).size > 48000 / 2


def test_the_speech_lies_in_the_published_window(actor: Path) -> None:
    shares = []
    for path in sorted(actor.glob("*.mp4")):
        whole, _ = audio.waveform(path, rate_hz=44100, offset_s=0.0, window_s=5.0)
        heard, _ = audio.waveform(path, rate_hz=44100, offset_s=0.5, window_s=2.45)
        shares.append((heard**2).sum() / (whole**2).sum())
    assert np.mean(shares) > 0.9 and min(shares) > 0.75  # the slowest sentences run past its end


TRACK = Track(np.random.default_rng(0).uniform(0, 700, (20, 68, 2)).round(3), np.full(20, 0.9), 30.0)


def test_landmarks_survive_their_file(tmp_path: Path) -> None:
    written.write(tmp_path / "clip.csv", TRACK.points, 0.9, TRACK.frame_rate_hz)
    back = openface.read(tmp_path / "clip.csv")
    assert np.array_equal(back.points, TRACK.points) and np.array_equal(back.confidence, TRACK.confidence)
    assert back.frame_rate_hz == pytest.approx(30, rel=1e-3)


def test_landmarks_survive_parquet_and_so_do_thresholds(tmp_path: Path) -> None:
    edge = Track(TRACK.points, np.full(20, 0.7), TRACK.frame_rate_hz)
    landmarks.write(tmp_path / "04.parquet", {"one": TRACK, "two": edge}, {"three": "has no face"})
    found, refused = landmarks.read(tmp_path / "04.parquet")
    assert list(found) == ["one", "two"] and refused == {"three": "has no face"}
    assert np.abs(found["one"].points - TRACK.points).max() < 1e-4
    options = {"min_confidence": 0.7, "min_tracked": 1.0, "margin": 0.3, "smoothing_s": 0.1, "source": tmp_path}
    assert np.allclose(
        face_boxes.boxes(found["two"], **options).squares, face_boxes.boxes(edge, **options).squares, atol=1e-3
    )
    landmarks.write(tmp_path / "none.parquet", {}, {"three": "has no face"})
    assert landmarks.read(tmp_path / "none.parquet") == ({}, {"three": "has no face"})
    (tmp_path / "junk.parquet").write_bytes(b"junk")
    with pytest.raises(CfnsrError, match="is not a file of landmarks"):
        landmarks.read(tmp_path / "junk.parquet")


def test_other_openface_versions_are_read_by_name(tmp_path: Path) -> None:
    written.write(tmp_path / "clip.csv", TRACK.points, 0.9, TRACK.frame_rate_hz)
    lines = (tmp_path / "clip.csv").read_text().splitlines()
    spaced = [", ".join(["frame", "face_id", *lines[0].split(",")[1:], "success"])]
    spaced += [", ".join([cells[0], "0", *cells[1:], "1"]) for cells in (line.split(",") for line in lines[1:])]
    (tmp_path / "spaced.csv").write_text("\n".join(spaced) + "\n")
    assert np.array_equal(openface.read(tmp_path / "spaced.csv").points, TRACK.points)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "lacks the columns timestamp, confidence, x_0 and 135 more"),
        ("frame,timestamp,confidence\n1,0,0.9\n", "lacks the columns x_0, x_1, x_2 and 133 more"),
        (",".join(written.COLUMNS) + "\n", "holds 0 frames"),
        (",".join(written.COLUMNS) + "\n" + ",".join(["x"] * 712) + "\n", "cannot be read as CSV"),
        (
            ",".join(written.COLUMNS) + "\n" + "\n".join([",".join(["1"] * 712)] * 3) + "\n",
            "its timestamps do not advance",
        ),
    ],
)
def test_a_landmark_file_that_cannot_serve_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "clip.csv"
    path.write_text(text)
    with pytest.raises(CfnsrError, match=rf"clip\.csv: {told}"):
        openface.read(path)
