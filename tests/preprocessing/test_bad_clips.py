"""Whatever a corpus's folder holds: it works, or one line says which file and what to do; or it is skipped and told."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cfnsr import config
from cfnsr.corpora import filenames
from cfnsr.corpora.clip import Sample
from cfnsr.corpora.studio import openface as written
from cfnsr.data import shards
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import extract
from cfnsr.preprocessing.landmarks import openface
from stages.crop import main as crop
from stages.extract import main as extract_main
from tests.support.media import numbered
from tests.support.repository import Repository

FRAMES = 60
GOOD = tuple(
    filenames.name(label=label, intensity="normal", statement=1, repetition=1, actor="01")
    for label in ("calm", "happy")
)
BAD = filenames.name(label="sad", intensity="normal", statement=1, repetition=1, actor="01")


def tracked(path: Path, frames: int = FRAMES, confidence: float = 0.98) -> Path:
    """Landmarks of a face in the middle of a picture of 320x240."""
    corners = np.resize(np.array([(110, 70), (210, 70), (110, 170), (210, 170)]), (68, 2))
    written.write(path, np.tile(corners, (frames, 1, 1)).astype(float), confidence, 29.97)
    return path


class Speaker:
    """One speaker's raw clips, their landmarks beside them, and the two stages that read them."""

    def __init__(self, folder: Path, params: Path) -> None:
        self.folder, self.params = folder, params
        self.raw = folder / "raw"
        self.video, self.csv = self.raw / f"{BAD}.mp4", self.raw / f"{BAD}.csv"

    def run(self, policy: str) -> Result:
        """``crop`` and ``extract``; the result of the first that fails, or of the last."""
        text = self.params.read_text()
        assert text.count("on_bad_clip: fail") == 1
        chosen = self.folder / "params.yaml"
        chosen.write_text(text.replace("on_bad_clip: fail", f"on_bad_clip: {policy}"))
        boxes, shard = str(self.folder / "faces.parquet"), str(self.folder / "shard")
        first = CliRunner().invoke(crop, ["--params", str(chosen), "studio", str(self.raw), str(self.folder), boxes])
        if first.exit_code:
            return first
        return CliRunner().invoke(extract_main, ["--params", str(chosen), "studio", str(self.raw), boxes, shard])


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    (folder / "raw").mkdir()
    for number, stem in enumerate((*GOOD, BAD)):
        numbered(folder / "raw" / f"{stem}.mp4", frames=FRAMES, sound_s=3.0, tone_hz=200.0 * (number + 1))
        tracked(folder / "raw" / f"{stem}.csv")
    return folder


@pytest.fixture
def speaker(good: Path, tmp_path: Path, root: Path) -> Speaker:
    # A name that a shell, a terminal or an encoding might stumble over stands above all files.
    return Speaker(shutil.copytree(good, tmp_path / "Größe 录 'x' $(id) & co"), root / "params.yaml")


def one_line(result: Result) -> str:
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.output
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ") and last.isprintable() and "Traceback" not in result.output
    return last


def unsure(path: Path) -> None:
    table = pd.read_csv(path)
    table.loc[1:, "confidence"] = np.nan
    table.to_csv(path, index=False)


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def sound_alone(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 96000), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def black(path: Path) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        sound = container.add_stream("aac", rate=48000, layout="mono")
        for _ in range(FRAMES):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((240, 320, 3), np.uint8), "rgb24")))
        container.mux(video.encode(None))
        tone = np.sin(np.arange(144000) / 20).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))


def without_columns(path: Path) -> None:
    pd.read_csv(path).drop(columns=["x_3", "y_9"]).to_csv(path, index=False)


def pointing_nowhere(path: Path) -> None:
    table = pd.read_csv(path)
    table.loc[:, "x_0":"x_67"] += 1e5
    table.to_csv(path, index=False)


BROKEN: dict[str, tuple[Callable[[Speaker], object], str]] = {
    "cut short, its index at the end": (lambda it: cut(it.video, 0.6), "not a readable media file"),
    "cut short, its index first": (
        lambda it: (numbered(it.video, frames=FRAMES, sound_s=3.0, faststart=True), cut(it.video, 0.6)),
        r"has \d+ frames, its landmarks 60|cannot be decoded",
    ),
    "of no bytes": (lambda it: it.video.write_bytes(b""), "not a readable media file"),
    "not a video": (lambda it: it.video.write_text("<html>Not found</html>"), "not a readable media file"),
    "without a video stream": (lambda it: sound_alone(it.video), "has no video stream"),
    "without sound": (lambda it: numbered(it.video, frames=FRAMES, sound_s=None), "has no audio stream"),
    "ending before the window": (
        lambda it: numbered(it.video, frames=FRAMES, sound_s=0.3),
        "the sound ends before 0.5 s",
    ),
    "silent": (lambda it: numbered(it.video, frames=FRAMES, sound_s=3.0, tone_hz=0.0), "its sound is constant"),
    "black": (lambda it: black(it.video), "its picture is constant"),
    "longer than its landmarks": (lambda it: tracked(it.csv, FRAMES - 5), "has 60 frames, its landmarks 55"),
    "without landmarks": (lambda it: it.csv.unlink(), "has no landmarks"),
    "with an empty landmark file": (lambda it: it.csv.write_text(""), "lacks the columns timestamp"),
    "with landmarks that are no text": (lambda it: it.csv.write_bytes(bytes(range(128, 256))), "cannot be read as CSV"),
    "with landmarks that lack columns": (lambda it: without_columns(it.csv), "lacks the columns x_3, y_9"),
    "with landmarks that are hardly ever sure": (lambda it: unsure(it.csv), "a face is tracked in 1 of 60 frames"),
    "with landmarks of one frame": (lambda it: tracked(it.csv, 1), "holds 1 frames"),
    "with no face in it": (lambda it: tracked(it.csv, confidence=0.1), "a face is tracked in 0 of 60 frames"),
    "with landmarks of another picture": (lambda it: pointing_nowhere(it.csv), "misses the picture of 320x240"),
    "with a header alone": (
        lambda it: it.csv.write_text(it.csv.read_text().splitlines()[0] + "\n"),
        "holds 0 frames",
    ),
    "with words for numbers": (
        lambda it: it.csv.write_text(it.csv.read_text().replace("0.980", "sure")),
        "cannot be read as CSV",
    ),
    "with times that stand still": (
        lambda it: pd.read_csv(it.csv).assign(timestamp=1.0).to_csv(it.csv, index=False),
        "its timestamps do not advance",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_clip_that_cannot_be_used_stops_the_run_or_is_skipped_and_told(speaker: Speaker, kind: str) -> None:
    damage, told = BROKEN[kind]
    damage(speaker)
    line = one_line(speaker.run("fail"))
    assert BAD in line and re.search(told, line), line
    assert line.endswith("; or set on_bad_clip: skip")
    result = speaker.run("skip")
    assert result.exit_code == 0, result.output
    found = shards.read(speaker.folder / "shard")
    assert found.index["clip"].tolist() == list(GOOD) and list(found.skipped) == [BAD]
    assert f"skipped {BAD}: {found.skipped[BAD]}" in result.stderr
    assert re.search(told, found.skipped[BAD])


@pytest.mark.parametrize(
    "name",
    [
        "clip.mp4",
        "01-01-04-01-01-01-٠١.mp4",  # digits, but not a file name's
        "$(touch owned).mp4",
        "'; touch owned; '.mp4",
        "-rf.mp4",
        "two\nlines.mp4",
        "\x1b[31mred.mp4",
        "\u202e4pm.exe.mp4",
        "concat:a|b.mp4",
        "été 录音 🎬.mp4",
        os.fsdecode(b"\xff\xfe.mp4"),
        "._01-01-04-01-01-01-01.mp4",  # what one system leaves beside each file of an archive
        f"{'x' * 200}.mp4",
    ],
)
def test_names_that_say_nothing_or_too_much(
    speaker: Speaker, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(speaker.video, speaker.raw / name)
    shutil.copy(speaker.csv, speaker.raw / Path(name).with_suffix(".csv").name)
    assert "not a RAVDESS file name" in one_line(speaker.run("fail"))
    result = speaker.run("skip")
    assert result.exit_code == 0, result.output
    found = shards.read(speaker.folder / "shard")
    assert len(found.index) == 3 and len(found.skipped) == 1
    assert all(line.isprintable() for line in result.stderr.splitlines())
    assert not list(tmp_path.rglob("owned"))


def spaced(path: Path) -> None:
    path.write_text(path.read_text().replace(",", ", "))


def shuffled_and_wider(path: Path) -> None:
    table = pd.read_csv(path).copy().assign(comment="né, à vérifier", extra=1)
    table[list(reversed(table.columns))].to_csv(path, index=False)


FINE: dict[str, tuple[Callable[[Speaker], object], dict[str, Any]]] = {
    "stereo": (lambda it: numbered(it.video, frames=FRAMES, sound_s=3.0, channels="stereo"), {"padded_s": 0.0}),
    "8 kHz": (lambda it: numbered(it.video, frames=FRAMES, sound_s=3.0, sound_hz=8000), {"padded_s": 0.0}),
    "short of sound": (lambda it: numbered(it.video, frames=FRAMES, sound_s=1.5), {"padded_s": 1.45}),
    "short": (
        lambda it: (numbered(it.video, frames=5, sound_s=1.0), tracked(it.csv, 5)),
        {"padded_s": 1.95, "duration_s": 5 * 1001 / 30000},
    ),
    "of a rate that varies": (
        lambda it: numbered(it.video, frames=FRAMES, sound_s=3.0, ticks=[k * 1500 + (k % 7) * 200 for k in range(60)]),
        {"duration_s": 1.0},
    ),
    "of odd size": (
        lambda it: numbered(it.video, frames=FRAMES, sound_s=3.0, width=321, height=243, pixels="yuv444p"),
        {},
    ),
    "turned": (lambda it: numbered(it.video, frames=FRAMES, sound_s=3.0, rotated=90), {}),
    "with columns spaced": (lambda it: spaced(it.csv), {}),
    "with columns shuffled, and more of them": (lambda it: shuffled_and_wider(it.csv), {}),
    "with Windows's line ends": (lambda it: it.csv.write_bytes(it.csv.read_bytes().replace(b"\n", b"\r\n")), {}),
    "with a byte order mark": (lambda it: it.csv.write_bytes(b"\xef\xbb\xbf" + it.csv.read_bytes()), {}),
    "in capitals": (lambda it: it.video.rename(it.video.with_suffix(".MP4")), {}),
    "with a few frames untracked": (lambda it: it.csv.write_text(it.csv.read_text().replace("0.980", "0", 9)), {}),
}


@pytest.mark.parametrize("kind", FINE)
def test_a_clip_that_is_only_unusual_works(speaker: Speaker, kind: str) -> None:
    change, expected = FINE[kind]
    change(speaker)
    result = speaker.run("fail")
    assert result.exit_code == 0, result.output
    found = shards.read(speaker.folder / "shard")
    assert found.index["clip"].tolist() == [*GOOD, BAD] and not found.skipped
    row = found.index.set_index("clip").loc[BAD]
    for column, value in expected.items():
        assert row[column] == pytest.approx(value, abs=0.06), column


def test_stereo_is_as_loud_as_mono(speaker: Speaker) -> None:
    heard = []
    for channels in ("mono", "stereo"):
        numbered(speaker.video, frames=FRAMES, sound_s=3.0, channels=channels)
        assert speaker.run("fail").exit_code == 0
        heard.append(shards.read(speaker.folder / "shard").mel[-1].max())
    assert heard[0] == pytest.approx(heard[1], abs=0.1)  # dB


def test_when_no_clip_can_be_used_skipping_stops_too(speaker: Speaker) -> None:
    for path in speaker.raw.iterdir():
        path.write_bytes(b"")
    assert "none of its clips can be used" in one_line(speaker.run("skip"))


def test_through_the_whole_pipeline_a_skipped_clip_is_told_and_going_back_to_fail_does_not_pass_it_over(
    finished: Repository, tmp_path: Path
) -> None:
    there = finished.copy(tmp_path / "there")
    (there.folder / f"data/studio/raw/01/{GOOD[0]}.mp4").write_bytes(b"")
    there.run("dvc", "commit", "-f", "download@studio-01")
    said = there.run("dvc", "repro", status=255)
    assert f"{GOOD[0]}.mp4: not a readable media file" in said and "set on_bad_clip: skip" in said
    assert "Traceback" not in said

    there.edit("on_bad_clip: fail", "on_bad_clip: skip")
    there.edit("  min_clips: 8 ", "  min_clips: 7 ")
    ran = there.repro()
    assert ran[:2] == ["extract@studio-01", "check@studio"] and not [
        name for name in ran if name.endswith(("02", "03"))
    ]
    assert "1 more clips could not be used" in there.run("cfnsr", "results")
    page = (there.folder / "metrics/studio/report.md").read_text()
    assert f"| 01/{GOOD[0]} | not a readable media file" in page

    there.edit("on_bad_clip: skip", "on_bad_clip: fail")
    said = there.run("dvc", "repro", status=255)
    assert f"data/studio/shards/01, clip {GOOD[0]}: not a readable media file" in said and "Traceback" not in said


@pytest.fixture(scope="module")
def options(root: Path) -> dict[str, Any]:
    params = config.load(root / "params.yaml")
    return {**params.extract.video.model_dump(), **params.extract.audio.model_dump()}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    begin=st.floats(0, 1),
    length=st.integers(0, 4000),
    filling=st.one_of(st.none(), st.just(b"\0"), st.just(b"\xff"), st.binary(min_size=1, max_size=8)),
    index_first=st.booleans(),
)
def test_any_damage_to_a_file_is_a_sample_or_one_clear_line(
    good: Path, options: dict[str, Any], begin: float, length: int, filling: bytes | None, index_first: bool
) -> None:
    """Bytes overwritten, or cut out, anywhere: in the index, the pictures, the sound."""
    source = good / f"first-{index_first}.mp4"
    if not source.exists():
        numbered(source, frames=FRAMES, sound_s=3.0, faststart=index_first)
    whole = source.read_bytes()
    at = int(begin * len(whole))
    instead = b"" if filling is None else (filling * length)[:length]
    damaged = good / "damaged.mp4"
    damaged.write_bytes(whole[:at] + instead + whole[at + length :])
    try:
        found = extract.sample(damaged, np.tile([160.0, 120.0, 170.0], (FRAMES, 1)), **options)
    except CfnsrError as error:
        assert str(error).startswith(str(damaged)) and str(error).isprintable()
    else:
        assert isinstance(found, Sample) and found.frames.shape == (8, 64, 64, 3) and np.isfinite(found.mel).all()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    begin=st.floats(0, 1),
    length=st.integers(0, 3000),
    instead=st.one_of(st.text(max_size=40), st.just("nan,inf,1e999,")),
)
def test_any_damage_to_landmarks_is_a_track_or_one_clear_line(
    good: Path, begin: float, length: int, instead: str
) -> None:
    whole = (good / "raw" / f"{BAD}.csv").read_text()
    at = int(begin * len(whole))
    damaged = good / "damaged.csv"
    damaged.write_text(whole[:at] + instead + whole[at + length :], encoding="utf-8", errors="surrogatepass")
    try:
        track = openface.read(damaged)
    except CfnsrError as error:
        assert str(error).startswith(str(damaged)) and str(error).isprintable()
    else:
        assert track.points.shape == (len(track.confidence), 68, 2)


@given(st.text(max_size=40))
def test_any_name_is_a_clip_or_one_clear_line(stem: str) -> None:
    try:
        clip = filenames.parse(Path(f"{stem.replace('/', '')}.mp4"))
    except CfnsrError as error:
        assert str(error).isprintable()
    else:
        assert clip.actor.isascii() and clip.actor.isdigit()
