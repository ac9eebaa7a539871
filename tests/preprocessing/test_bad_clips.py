"""Any file in a corpus's folder works, or gives a one-line error with file and remedy, or is skipped."""

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
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cfnsr.corpora import filenames
from cfnsr.corpora.clip import Clip
from cfnsr.corpora.filenames import Take
from cfnsr.data import shards
from cfnsr.data.shards import Sample
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import audio, extract, openface_csv
from cfnsr.preprocessing.extract import ExtractOptions
from stages.crop import main as crop
from stages.extract import main as extract_main
from stages.landmarks import main as landmarks_main
from tests.support.media import landmarks_beside, numbered

FRAMES = 60
GOOD = tuple(filenames.stem(Take(label, "normal", 1, 1), "01") for label in ("calm", "happy"))
BAD = filenames.stem(Take("sad", "normal", 1, 1), "01")


class Speaker:
    """One speaker's raw clips, their landmarks beside them, and the two stages that read them."""

    def __init__(self, folder: Path, params: Path, bad: str = BAD) -> None:
        self.folder, self.params = folder, params
        self.raw = folder / "raw"
        self.video, self.csv = self.raw / f"{bad}.mp4", self.raw / f"{bad}.csv"

    def run(self, policy: str) -> Result:
        """Run landmarks, crop and extract; return the result of the first that fails, or of the last."""
        text = self.params.read_text()
        assert text.count("on_bad_clip: fail") == 1
        params = self.folder / "params.yaml"
        params.write_text(text.replace("on_bad_clip: fail", f"on_bad_clip: {policy}"))
        raw, points, boxes = str(self.raw), str(self.folder / "landmarks.parquet"), str(self.folder / "faces.parquet")
        result = None
        for main, arguments in (
            (landmarks_main, ["studio", raw, str(self.folder), points]),
            (crop, [points, boxes]),
            (extract_main, ["studio", raw, boxes, str(self.folder / "shard")]),
        ):
            result = CliRunner().invoke(main, ["--params", str(params), *arguments])
            if result.exit_code:
                break
        assert result is not None
        return result


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    (folder / "raw").mkdir()
    for number, stem in enumerate((*GOOD, BAD)):
        numbered(folder / "raw" / f"{stem}.mp4", frames=FRAMES, sound_s=3.0, tone_hz=200.0 * (number + 1))
        landmarks_beside(folder / "raw" / f"{stem}.csv", FRAMES)
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


def only_sound(path: Path) -> None:
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


def far_away(path: Path) -> None:
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
    "without a video stream": (lambda it: only_sound(it.video), "has no video stream"),
    "without sound": (lambda it: numbered(it.video, frames=FRAMES, sound_s=None), "has no audio stream"),
    "ending before the window": (
        lambda it: numbered(it.video, frames=FRAMES, sound_s=0.3),
        r"has no sound between 0\.5 s and 2\.95 s",
    ),
    "silent": (lambda it: numbered(it.video, frames=FRAMES, sound_s=3.0, tone_hz=0.0), "its sound is constant"),
    "black": (lambda it: black(it.video), "its picture is constant"),
    "shorter than its landmarks": (lambda it: landmarks_beside(it.csv, FRAMES + 2), "has 60 frames, its landmarks 62"),
    "without landmarks": (lambda it: it.csv.unlink(), "has no landmarks"),
    "with an empty landmark file": (lambda it: it.csv.write_text(""), "lacks the columns confidence"),
    "with landmarks that are no text": (lambda it: it.csv.write_bytes(bytes(range(128, 256))), "cannot be read as CSV"),
    "with landmarks that lack columns": (lambda it: without_columns(it.csv), "lacks the columns x_3, y_9"),
    "with landmarks that are hardly ever sure": (lambda it: unsure(it.csv), "a face is tracked in 1 of 60 frames"),
    "with landmarks of one frame": (lambda it: landmarks_beside(it.csv, 1), "a face is tracked in 1 of 60 frames"),
    "with no face in it": (
        lambda it: landmarks_beside(it.csv, FRAMES, confidence=0.1),
        "a face is tracked in 0 of 60 frames",
    ),
    "with landmarks of another picture": (lambda it: far_away(it.csv), "lies outside the frame of 320x240"),
    "with only a header": (
        lambda it: it.csv.write_text(it.csv.read_text().splitlines()[0] + "\n"),
        "has 0 frames",
    ),
    "with words for numbers": (
        lambda it: it.csv.write_text(it.csv.read_text().replace("0.980", "sure")),
        "cannot be read as CSV",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_clip_stops_or_is_skipped(speaker: Speaker, kind: str) -> None:
    damage, message = BROKEN[kind]
    damage(speaker)
    line = one_line(speaker.run("fail"))
    assert BAD in line and re.search(message, line), line
    assert line.endswith("; or set on_bad_clip: skip")
    result = speaker.run("skip")
    assert result.exit_code == 0, result.output
    shard = shards.read(speaker.folder / "shard")
    assert shard.index["clip"].tolist() == list(GOOD) and list(shard.skipped) == [BAD]
    assert f"skipped {BAD}: {shard.skipped[BAD]}" in result.stderr
    assert re.search(message, shard.skipped[BAD])


def test_error_of_a_library_is_the_clips_own(speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    real = audio.waveform

    def waveform(path: Path, *args: Any, **options: Any) -> Any:
        if BAD in path.name:
            raise RuntimeError("no space")
        return real(path, *args, **options)

    monkeypatch.setattr(audio, "waveform", waveform)
    assert "cannot be processed (RuntimeError: no space)" in one_line(speaker.run("fail"))
    assert speaker.run("skip").exit_code == 0
    shard = shards.read(speaker.folder / "shard")
    assert shard.index["clip"].tolist() == list(GOOD) and list(shard.skipped) == [BAD]


def test_ten_kinds_of_bad_clips_take_no_other(speaker: Speaker) -> None:
    kinds = [name for name in BROKEN if "landmark" not in name][:10]
    names = [filenames.stem(Take(label, "strong", 2, take), "01") for label in filenames.LABELS[2:7] for take in (1, 2)]
    for name, kind in zip(names, kinds, strict=True):
        clip = Speaker(speaker.folder, speaker.params, bad=name)
        shutil.copy(speaker.video, clip.video)
        shutil.copy(speaker.csv, clip.csv)
        BROKEN[kind][0](clip)
    result = speaker.run("skip")
    assert result.exit_code == 0, result.output
    shard = shards.read(speaker.folder / "shard")
    assert shard.index["clip"].tolist() == [*GOOD, BAD] and sorted(shard.skipped) == sorted(names)
    for name, kind in zip(names, kinds, strict=True):
        assert re.search(BROKEN[kind][1], shard.skipped[name]), kind


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
def test_odd_file_name_stops_or_is_skipped(
    speaker: Speaker, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(speaker.video, speaker.raw / name)
    shutil.copy(speaker.csv, speaker.raw / Path(name).with_suffix(".csv").name)
    assert "not a RAVDESS file name" in one_line(speaker.run("fail"))
    result = speaker.run("skip")
    assert result.exit_code == 0, result.output
    shard = shards.read(speaker.folder / "shard")
    assert len(shard.index) == 3 and len(shard.skipped) == 1
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
    "short of sound": (lambda it: numbered(it.video, frames=FRAMES, sound_s=2.0), {"padded_s": 0.95}),
    "short": (
        lambda it: (numbered(it.video, frames=5, sound_s=2.0), landmarks_beside(it.csv, 5)),
        {"padded_s": 0.95, "duration_s": 5 * 1001 / 30000},
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
    "with times that stand still": (
        lambda it: pd.read_csv(it.csv).assign(timestamp=1.0).to_csv(it.csv, index=False),
        {},
    ),
    "longer than its landmarks": (lambda it: landmarks_beside(it.csv, FRAMES - 5), {}),
    "one frame shorter than its landmarks": (lambda it: landmarks_beside(it.csv, FRAMES + 1), {}),
    "with rows left out": (
        lambda it: pd.read_csv(it.csv).drop(index=range(5, 12)).to_csv(it.csv, index=False),
        {"box_interpolated": 7 / 60},
    ),
    "with a few frames untracked": (lambda it: it.csv.write_text(it.csv.read_text().replace("0.980", "0", 9)), {}),
}


@pytest.mark.parametrize("kind", FINE)
def test_unusual_clip_works(speaker: Speaker, kind: str) -> None:
    change, expected = FINE[kind]
    change(speaker)
    result = speaker.run("fail")
    assert result.exit_code == 0, result.output
    shard = shards.read(speaker.folder / "shard")
    assert shard.index["clip"].tolist() == [*GOOD, BAD] and not shard.skipped
    row = shard.index.set_index("clip").loc[BAD]
    for column, value in expected.items():
        assert row[column] == pytest.approx(value, abs=0.06), column


def test_speaker_without_usable_clips_stops(speaker: Speaker) -> None:
    for path in speaker.raw.iterdir():
        path.write_bytes(b"")
    assert "none of its clips can be used" in one_line(speaker.run("skip"))


# Small, as there are many examples.
SOUND = {"rate_hz": 8000, "track": 1, "min_sound": 0.5, "silence_db": -50.0}
ANALYSIS = {"n_fft": 256, "hop": 128, "mels": 16, "coefficients": 13, "top_db": 80.0}
OPTIONS = ExtractOptions(0.1, 0.5, {"frames": 4, "side_px": 16, "decoder": "pyav"}, {**SOUND, **ANALYSIS})


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    begin=st.floats(0, 1),
    length=st.integers(0, 4000),
    filling=st.one_of(st.none(), st.just(b"\0"), st.just(b"\xff"), st.binary(min_size=1, max_size=8)),
    index_first=st.booleans(),
)
def test_any_damage_gives_sample_or_error(
    good: Path, begin: float, length: int, filling: bytes | None, index_first: bool
) -> None:
    """Overwrite or cut out bytes anywhere: in the index, the pictures or the sound."""
    source = good / f"first-{index_first}.mp4"
    if not source.exists():
        numbered(source, frames=FRAMES, width=96, height=64, grain=40, sound_s=1.0, faststart=index_first)
    whole = source.read_bytes()
    at = int(begin * len(whole))
    instead = b"" if filling is None else (filling * length)[:length]
    damaged = good / "damaged.mp4"
    damaged.write_bytes(whole[:at] + instead + whole[at + length :])
    try:
        sample = extract.sample(Clip("clip", damaged, "01", "sad"), np.tile([48.0, 32.0, 40.0], (FRAMES, 1)), OPTIONS)
    except CfnsrError as error:
        assert str(error).startswith(str(damaged)) and str(error).isprintable()
    else:
        assert (
            isinstance(sample, Sample)
            and sample.arrays["frames"].shape == (4, 16, 16, 3)
            and np.isfinite(sample.arrays["mel"]).all()
        )


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    begin=st.floats(0, 1),
    length=st.integers(0, 3000),
    instead=st.one_of(st.text(max_size=40), st.just("nan,inf,1e999,")),
)
@example(begin=0.0, length=0, instead="\r")  # a line of its own for Arrow, not for Python
def test_any_damage_gives_landmarks_or_error(good: Path, begin: float, length: int, instead: str) -> None:
    whole = (good / "raw" / f"{BAD}.csv").read_text()
    at = int(begin * len(whole))
    damaged = good / "damaged.csv"
    damaged.write_text(whole[:at] + instead + whole[at + length :], encoding="utf-8", errors="surrogatepass")
    try:
        track = openface_csv.read(damaged)
    except CfnsrError as error:
        assert str(error).startswith(str(damaged)) and str(error).isprintable()
    else:
        assert track.points.shape == (len(track.confidence), 68, 2)
