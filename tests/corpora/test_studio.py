from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from cfnsr.corpora import filenames, studio
from cfnsr.corpora.studio import prepare
from cfnsr.corpora.studio.prepare import design, identity, portrait, speech
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import audio, media, openface_csv, video
from cfnsr.runtime.bad_clips import BadClips
from tests.support.small_studio import OPTIONS, make


def test_actor_that_is_no_number_is_refused() -> None:
    with pytest.raises(CfnsrError, match="'4' is not two digits"):
        identity.of("4", 1)


def test_actor_has_each_emotion_and_its_landmarks(studio_actor: Path) -> None:
    clips = studio.clips(studio_actor, BadClips("fail"))
    assert [clip.label for clip in clips] == list(filenames.LABELS)
    assert {path.stem for path in studio_actor.glob("*.csv")} == {clip.id for clip in clips}
    assert studio.expected("04", **OPTIONS) == Counter(clip.label for clip in clips)


def test_sixty_clips_at_full_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names: list[str] = []
    monkeypatch.setattr(prepare.film, "write", lambda path, *args, **options: (names.append(path.stem), path.touch()))
    monkeypatch.setattr(
        prepare.acting, "perform", lambda rest, eyes_px, face, loudness, *args: rest[None].repeat(len(loudness), axis=0)
    )
    full = {"statements": [1, 2], "repetitions": 2, "intensities": ["normal", "strong"]}
    make(tmp_path, **full)
    assert len(names) == len(set(names)) == 60
    labels = Counter(filenames.parse(Path(name))[0].label for name in names)
    assert labels["neutral"] == 4 and labels == studio.expected("04", **{**OPTIONS, **full})


def test_files_are_like_those_of_ravdess(studio_actor: Path) -> None:
    for path in sorted(studio_actor.glob("*.mp4"))[:3]:
        with av.open(str(path)) as container:
            picture, sound = container.streams.video[0], container.streams.audio[0]
            assert (picture.codec_context.name, picture.width, picture.height) == ("h264", 640, 360)
            assert picture.average_rate == Fraction(30000, 1001) and picture.codec_context.pix_fmt == "yuv420p"
            assert (sound.codec_context.name, sound.rate) == ("aac", 48000)
            kinds = [PictureType(frame.pict_type).name for frame in container.decode(picture)]
        assert kinds.count("B") > len(kinds) / 2
        when = media.timeline(path)
        assert 2.94 <= when.duration_s <= 5.27
        track = openface_csv.read(path.with_suffix(".csv"))
        assert len(track.points) == len(when.pts) == len(kinds)
        header = (path.with_suffix(".csv")).read_text().splitlines()[0].split(",")
        assert len(header) == 712 and header[297] == "x_0" and header[365] == "y_0" and header[2] == "confidence"


def test_landmarks_follow_the_picture(studio_actor: Path) -> None:
    """The pupils are dark and the skin between the eyes is not, wherever the head is."""
    path = sorted(studio_actor.glob("*.mp4"))[0]
    track = openface_csv.read(path.with_suffix(".csv"))
    chosen = [int(index) for index in np.linspace(0, len(track.points) - 1, 12)]
    frames = video.frames(path, media.timeline(path), chosen, decoder="pyav")
    for index, image in zip(chosen, (frame.image for frame in frames), strict=True):
        eyes = [track.points[index, part].mean(axis=0) for part in (slice(36, 42), slice(42, 48))]
        root = track.points[index, 27]
        dark = [image[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4].mean() for x, y in eyes]
        skin = image[int(root[1]) - 3 : int(root[1]) + 4, int(root[0]) - 3 : int(root[0]) + 4].mean()
        assert max(dark) < 0.8 * skin
    assert np.ptp(track.points[:, 30], axis=0).max() > 1  # the head moves


def test_brightness_and_colours_move_with_the_points() -> None:
    actor = portrait.Portrait(identity.of("01", 1), 640, 360)
    rest, moved = actor.pose(actor.points), actor.pose(actor.points + np.array([12, -8]))
    (left, top), (right, bottom) = (actor.points[[36, 8]].min(axis=0), actor.points[[45, 8]].max(axis=0))
    changes = []
    for shrink, size, start in ((1, 360, 0), (2, 180, 640 * 360), (2, 180, 640 * 450)):
        still, shifted = (
            picture.reshape(-1)[start : start + size * 640 // shrink].reshape(size, -1).astype(float)
            for picture in (rest, moved)
        )
        x, y, width, height = (int(value) // shrink for value in (left, top, right - left, bottom - top))
        face = still[y : y + height, x : x + width]
        dx, dy = 12 // shrink, -8 // shrink
        assert np.abs(shifted[y + dy :, x + dx :][:height, :width] - face).mean() < 1
        changes.append(np.abs(shifted[y : y + height, x : x + width] - face).mean())
        assert np.array_equal(shifted[:, :8], still[:, :8])  # nothing moves far from the face
    assert changes[0] > 4 and min(changes) > 1


def test_same_seed_makes_same_bytes(studio_actor: Path, tmp_path: Path) -> None:
    # Actor 04 has a breathy voice, whose noise espeak-ng would seed from the clock, in whole seconds: `again` is made
    # seconds after `studio_actor`.
    other = make(tmp_path / "other", seed=2)
    again = make(tmp_path / "again", jobs=1)
    for path in studio_actor.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name
        assert path.read_bytes() != (other / path.name).read_bytes(), path.name


def test_modalities_confuse_pairs_and_together_none() -> None:
    assert len(set(design.EMOTIONS.values())) == len(design.EMOTIONS) == 8
    assert list(design.EMOTIONS) == list(filenames.LABELS)

    def pairs(part: int) -> set[frozenset[str]]:
        rows = [row[part] for row in design.EMOTIONS.values()]
        return {frozenset(name for name, row in design.EMOTIONS.items() if row[part] == shared) for shared in rows}

    faces, voices = pairs(0), pairs(1)
    assert {len(pair) for pair in faces | voices} == {2} and not faces & voices
    quiet = np.random.default_rng(0)
    assert design.face("happy", "normal", 0.0, quiet) == design.face("surprised", "normal", 0.0, quiet)
    assert design.voice("happy", "normal", 0.0, quiet) == design.voice("angry", "normal", 0.0, quiet)
    assert len({design.face(name, "normal", 0.0, quiet) for name in design.EMOTIONS}) == 4
    assert len({design.voice(name, "normal", 0.0, quiet) for name in design.EMOTIONS}) == 4


def test_strong_clips_show_more_and_noise_varies() -> None:
    quiet = np.random.default_rng(0)
    assert design.face("happy", "strong", 0.0, quiet).smile > design.face("happy", "normal", 0.0, quiet).smile
    random = np.random.default_rng(0)
    smiles = [design.face("happy", "normal", 1.0, random).smile for _ in range(200)]
    assert 0.04 < np.std(smiles) < 0.12 and max(smiles) <= 0.28


def test_voices_differ_as_the_table_says() -> None:
    who = identity.of("02", 1)
    sounds = {name: speech.speak(1, who, voice, 48000) for name, voice in design.VOICES.items()}
    loudness = {name: 20 * np.log10(np.sqrt((sound**2).mean())) for name, sound in sounds.items()}
    assert loudness["strong"] - loudness["level"] == pytest.approx(8, abs=2)
    assert loudness["soft"] - loudness["level"] == pytest.approx(-12, abs=2)
    assert sounds["high"].size < sounds["level"].size < sounds["soft"].size
    assert np.array_equal(sounds["level"], speech.speak(1, who, design.VOICES["level"], 48000))


def test_actors_differ_and_depend_on_the_seed() -> None:
    people = [identity.of(f"{number:02d}", 1) for number in range(1, 25)]
    assert len(set(people)) == 24 and people[6] == identity.of("07", 1) != identity.of("07", 2)
    assert all("+m" in person.variant for person in people[::2]) and all(
        "+f" in person.variant for person in people[1::2]
    )
    assert {person.mirrored for person in people} == {True, False}
    for person in people:
        assert speech.speak(1, person, design.VOICES["level"], 48000).size > 48000 / 2


def test_speech_lies_in_the_published_window(studio_actor: Path) -> None:
    shares = []
    for path in sorted(studio_actor.glob("*.mp4")):
        whole, _ = audio.waveform(path, media.timeline(path), rate_hz=44100, offset_s=0.0, window_s=5.0)
        heard, _ = audio.waveform(path, media.timeline(path), rate_hz=44100, offset_s=0.5, window_s=2.45)
        shares.append((heard**2).sum() / (whole**2).sum())
    assert np.mean(shares) > 0.9 and min(shares) > 0.75  # the slowest sentences run past its end
