"""The annotated video: the same frames at the same times, the same sound, and what is said drawn into the picture."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cfnsr.errors import CfnsrError
from cfnsr.inference import annotate
from cfnsr.inference.overlay import Overlay
from cfnsr.inference.table import Row
from cfnsr.preprocessing import media, video
from tests.support import made_up_rows
from tests.support.media import number_of, numbered, remuxed, tone

FRAMES = 40
UNEVEN = [3000 * number + 700 * (number % 4) + 9000 * (number > 20) for number in range(FRAMES)]


def rows(**options: Any) -> list[Row]:
    return made_up_rows.rows("talk", 6, window_s=0.25, pictures=False, **options)


def written(path: Path, out: Path) -> Path:
    annotate.write(path, annotate.check(path, out), out, rows(), made_up_rows.LABELS)
    return out


def sound_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


VIDEOS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "plain": (".mp4", ".mp4", {}),
    "variable frame rate": (".mp4", ".mp4", {"ticks": UNEVEN}),
    "variable frame rate, Matroska": (".mp4", ".mkv", {"ticks": UNEVEN}),
    "upright telephone": (".mp4", ".mov", {"rotated": 90}),
    "wide pixels": (".mp4", ".mp4", {"pixel_ratio": Fraction(4, 3)}),
    "odd size": (".mkv", ".mp4", {"codec": "ffv1", "width": 321, "height": 239, "b_frames": 0}),
    "transport stream": (".ts", ".mp4", {"sound_codec": "mp2"}),
    "silent": (".mp4", ".mp4", {"sound_s": None}),
}


@pytest.mark.parametrize("case", VIDEOS)
def test_frames_times_and_sound_are_kept(tmp_path: Path, case: str) -> None:
    of_file, suffix, options = VIDEOS[case]
    path = numbered(tmp_path / f"in{of_file}", frames=FRAMES, **options)
    out = written(path, tmp_path / f"out{suffix}")
    before, after = media.timeline(path), media.timeline(out)
    assert len(after.pts) == FRAMES and len(after.tracks) == len(before.tracks)
    precision_s = 6e-4 if ".mkv" in (suffix, of_file) else 1e-5  # Matroska counts milliseconds
    np.testing.assert_allclose(after.times_s, before.times_s, atol=precision_s)
    assert after.duration_s == pytest.approx(before.duration_s, abs=0.05)
    pictures = [
        [frame.image for frame in video.frames(file, times, list(range(FRAMES)), decoder="pyav")]
        for file, times in ((path, before), (out, after))
    ]
    height, width = pictures[0][0].shape[:2]
    assert pictures[1][0].shape == (height + height % 2, width + width % 2, 3)
    assert [number_of(image) for image in pictures[1]] == list(range(FRAMES))
    # The middle of the right side has nothing drawn into it: no colour is changed.
    right = np.s_[height // 3 : height // 2, width - width // 8 : width]
    colours = [[image[right].mean(axis=(0, 1)) for image in of_file] for of_file in pictures]
    np.testing.assert_allclose(colours[1], colours[0], atol=6)
    if before.tracks:
        assert sound_packets(out) == sound_packets(path)
        # From Matroska, an encoder's lead-in of one packet is heard as what it is: silence.
        lead_in_s = 0.022 if of_file == ".mkv" else 2 * precision_s
        assert after.sound_offset_s() == pytest.approx(before.sound_offset_s(), abs=lead_in_s)


def test_late_sound_stays_late(tmp_path: Path) -> None:
    path = numbered(tmp_path / "in.mp4", frames=FRAMES)
    late = remuxed(tmp_path / "late.mp4", [path], late_s={"audio": 0.4})
    after = media.timeline(written(late, tmp_path / "out.mp4"))
    assert after.sound_offset_s() == pytest.approx(0.4, abs=0.002)


def test_sound_that_mp4_cannot_hold_is_encoded(tmp_path: Path) -> None:
    path = numbered(tmp_path / "in.avi", frames=FRAMES, codec="mpeg4", sound_codec="adpcm_ms", channels="stereo")
    out = written(path, tmp_path / "out.mp4")
    with av.open(str(out)) as container:
        (track,) = container.streams.audio
        assert (track.codec_context.name, track.rate, track.channels) == ("aac", 48000, 2)
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(track)])
    assert len(heard) / 48000 == pytest.approx(1.0, abs=0.05)
    spectrum = np.abs(np.fft.rfft(heard[4800:43200] * np.hanning(38400)))
    assert np.argmax(spectrum) * 48000 / 38400 == pytest.approx(440, abs=2) and np.abs(heard).max() > 0.3


def blank(width: int = 320, height: int = 240) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def drawn(known: list[Row], time_s: float, labels: list[str] = made_up_rows.LABELS, size: int = 320) -> np.ndarray:
    image = blank(size, size)
    Overlay(known, labels, size, size).draw(image, time_s)
    return image


def box_of(image: np.ndarray) -> tuple[int, int]:
    """First and last column of the white lines in the middle of the picture's upper half."""
    columns = np.flatnonzero((image[100] == 255).all(axis=1))
    return int(columns[0]), int(columns[-1])


def test_box_moves_between_windows() -> None:
    known = [replace(row, box=(100.0 + 40 * number, 100.0, 60.0)) for number, row in enumerate(rows())]
    known = [replace(row, person=0) for row in known]
    assert [box_of(drawn(known, time_s)) for time_s in (0.0, 0.125, 0.25, 0.375)] == [
        (70, 130),
        (70, 130),
        (90, 150),
        (110, 170),
    ]
    alone = [known[0], replace(known[2], start_s=5.0, end_s=5.25)]
    assert box_of(drawn(alone, 0.2)) == (70, 130) and (drawn(alone, 1.0) == 90).all()


def test_what_is_missing_or_far_is_written() -> None:
    known = rows()
    plain = replace(known[0], missing={}, is_far=False)
    says = {
        name: drawn([row], 0.1)
        for name, row in {
            "plain": plain,
            "no voice": replace(plain, missing={"voice": "nobody speaks"}),
            "far": replace(plain, is_far=True),
            "no opinion": replace(plain, opinion=type(plain.opinion)(), missing={"face": "", "voice": ""}),
        }.items()
    }
    orange = {name: int(((image[..., 0] > 200) & (image[..., 2] < 120)).sum()) for name, image in says.items()}
    assert orange["plain"] == 0 and min(orange["no voice"], orange["far"], orange["no opinion"]) > 20
    assert orange["far"] > orange["no voice"]
    blue = {name: int((image == (112, 178, 255)).all(axis=2).sum()) for name, image in says.items()}
    assert blue["plain"] > 50 and blue["no opinion"] == 0


def test_letters_of_other_languages_are_drawn() -> None:
    texts = [["фуу", "ü", "ж", "幸"], ["???", "?", "?", "?"]]
    one, other = (drawn(rows(), 0.1, labels) for labels in texts)
    assert (one != other).any()


def test_several_people_have_boxes_and_bars_of_their_own() -> None:
    known = rows(people=(0, 1))
    both, first = drawn(known, 0.1), drawn([row for row in known if row.person == 0], 0.1)
    assert box_of(first) == (30, 90) and box_of(both) == (30, 180)
    panels = [(image[200:] != 90).any(axis=(0, 2)).sum() for image in (first, both)]
    assert panels[1] > 1.8 * panels[0]


@pytest.mark.parametrize("size", [16, 64, 90])
def test_small_pictures_are_drawn_into(size: int) -> None:
    assert (drawn(rows(people=(0, 1, 2)), 0.1, size=size) != 90).any()


def test_what_cannot_be_annotated_is_refused(tmp_path: Path) -> None:
    path = numbered(tmp_path / "in.mp4", frames=5)
    (tmp_path / "link.mp4").symlink_to(path)
    (tmp_path / "text.mp4").write_text("text")
    sound = tone(tmp_path / "tone.wav", pitch_hz=200)
    for source, out, problem in (
        (path, path, "is the recording itself"),
        (path, tmp_path / "link.mp4", "is the recording itself"),
        (path, tmp_path / "out.avi", "is none of the formats"),
        (sound, tmp_path / "out.mp4", "has no picture to draw into"),
        (tmp_path, tmp_path / "out.mp4", "is a folder"),
        (tmp_path / "text.mp4", tmp_path / "out.mp4", "is not a readable media file"),
    ):
        with pytest.raises(CfnsrError, match=problem):
            annotate.check(source, out)


def test_nothing_is_left_of_a_video_that_ends_early(tmp_path: Path) -> None:
    whole = numbered(tmp_path / "whole.mp4", frames=FRAMES, faststart=True)
    path, out = tmp_path / "in.mp4", tmp_path / "out" / "said.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    timeline = media.timeline(whole)
    with pytest.raises(CfnsrError, match=r"cannot be decoded|is not a readable"):
        annotate.write(path, timeline, out, rows(), made_up_rows.LABELS)
    assert list(out.parent.iterdir()) == []
