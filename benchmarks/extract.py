"""Measure the CPU time of extracting a clip, against the floor of decoding every frame with PyAV and dropping it.

Generates clips of 3.7 s, 1280x720: a face-sized texture that moves before a still backdrop, and noise that is new in
every frame, as a camera's is; x264 `medium` at 8 Mbit/s, with and without B-frames. All ways take turns on each clip,
and only the ratios count, because machines differ. Beside them: decord and torchcodec, where they are installed, and
the published preparation's way, which reads and scales whole frames. Then the memory is measured on a clip of ten
minutes. Example: python benchmarks/extract.py
"""

from __future__ import annotations

import importlib
import math
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import click
import cv2
import numpy as np
import psutil
import torch

from cfnsr import config
from cfnsr.corpora.clip import Clip
from cfnsr.preprocessing import audio, extract, media, video
from cfnsr.preprocessing.display import Frame
from cfnsr.preprocessing.extract import ExtractOptions
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.runtime.bad_clips import BadClips

FRAMES, WIDTH, HEIGHT, FACE, NOISE = 111, 1280, 720, 400, 6
Row = tuple[str, float, float]  # what was measured, with its unit; the figure; its target
TARGETS = {3: 0.80, 0: 1.0}  # by the number of B-frames
KINDS = {3: "with B-frames", 0: "without B-frames"}
TARGET_TOGETHER, TARGET_OF_THREADS, TARGET_MIB = 0.45, 1.05, 67.0
NO_TARGET = math.nan
JOBS, REPEATS = 2, 2  # clips at a time; runs, of which the fastest counts
BOXES = np.tile([640.0, 360.0, 440.0], (FRAMES, 1))
VIDEO = {"frames": 30, "side_px": 224}
AUDIO = config.load(Path(__file__).parents[1] / "presets/base.yaml").extract.audio.model_dump()


def options(**video: Any) -> ExtractOptions:
    return ExtractOptions(0.5, 2.45, {**VIDEO, "decoder": "pyav", **video}, AUDIO)


def generate(path: Path, b_frames: int, seed: int) -> Path:
    random = np.random.default_rng(seed)
    scene = random.integers(0, 255, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    face = random.integers(0, 255, (FACE // 8, FACE // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    # Each frame takes another cut of one large field of noise, which is faster than drawing new noise.
    noise = random.integers(-NOISE, NOISE + 1, (HEIGHT + 200, WIDTH + 200, 1), dtype=np.int16)
    with av.open(str(path), "w") as out:
        options = {"preset": "medium", "bf": str(b_frames), "threads": "1"}
        stream = out.add_stream("libx264", rate=Fraction(30000, 1001), options=options)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 8_000_000
        audio = out.add_stream("aac", rate=48000, layout="mono")
        for number in range(FRAMES):
            picture = scene.astype(np.int16)
            top, left = 160 + round(20 * np.sin(number / 15)), 440 + round(60 * np.sin(number / 20))
            picture[top : top + FACE, left : left + FACE] = face
            down, right = random.integers(0, 200, 2)
            picture += noise[down : down + HEIGHT, right : right + WIDTH]
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), "rgb24")))
        out.mux(stream.encode(None))
        sound = np.sin(np.arange(round(3.7 * 48000)) / 20).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(sound, "fltp", "mono")
        frame.sample_rate = 48000
        out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
    return path


def decode_all(path: Path) -> None:
    """Decode every frame and drop it: the floor."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        for _ in container.decode(video=0):
            pass


def extract_clip(path: Path, **video: Any) -> None:
    extract.sample(Clip(path.stem, path, "01", "sad"), BOXES, options(**video))


def with_torchcodec(path: Path) -> None:
    """Do what extraction does, with torchcodec in place of the project's decoders."""
    from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportMissingImports]  # no dependency

    timeline = media.timeline(path)
    chosen = video.evenly_spaced(timeline.times_s, VIDEO["frames"], offset_s=0.5, window_s=2.45)
    decoder = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1)
    for image in decoder.get_frames_at(chosen).data.numpy():
        Frame.of(image).crop(BOXES[0], VIDEO["side_px"])
    audio.sound(path, timeline, offset_s=0.5, window_s=2.45, **AUDIO)


def as_published(path: Path) -> None:
    """Do what the published preparation does, on one thread: read all frames, scale whole ones, read all of the sound.

    Its own decoders are slower: moviepy starts FFmpeg as a process, and it writes the frames as JPEG files.
    """
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    frames = []
    while (read := capture.read())[0]:
        frames.append(cv2.resize(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB), (VIDEO["side_px"], VIDEO["side_px"])))
    _ = np.stack([frames[number] for number in np.linspace(0, len(frames) - 1, VIDEO["frames"]).round().astype(int)])
    timeline = media.sound_timeline(path)
    audio.sound(path, timeline, offset_s=0.0, window_s=timeline.duration_s, **AUDIO)


def ways() -> dict[str, Callable[[Path], None]]:
    """Return what is measured beside the floor, by name; say what cannot be used."""
    known: dict[str, Callable[[Path], None]] = {
        "extraction": extract_clip,
        "the same with deblock: false": partial(extract_clip, deblock=False),
        "OpenCV, whole frames of the whole clip": as_published,
    }
    for library, way in {"decord": partial(extract_clip, decoder="decord"), "torchcodec": with_torchcodec}.items():
        try:
            importlib.import_module(library)
            known[f"the same with {library}"] = way
        except (ImportError, RuntimeError, OSError) as error:  # torchcodec also needs FFmpeg's shared libraries
            click.echo(f"{library} is left out: {str(error).splitlines()[0]}")
    return known


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    started = clock()
    work()
    return clock() - started


def ratios(paths: list[Path], b_frames: int, measured: dict[str, Callable[[Path], None]]) -> list[Row]:
    """Measure each way's CPU time a clip, by the floor's."""
    times = np.array([[seconds(partial(way, path)) for way in (decode_all, *measured.values())] for path in paths])
    click.echo(f"{KINDS[b_frames]}: floor {statistics.median(times[:, 0]) * 1000:.0f} ms CPU a clip", err=True)
    shares = np.median(times[:, 1:] / times[:, :1], axis=0).tolist()
    targets = [TARGETS[b_frames]] + [NO_TARGET] * (len(measured) - 1)
    return [
        (f"{name}, {KINDS[b_frames]}: CPU time by decoding every frame", share, target)
        for name, share, target in zip(measured, shares, targets, strict=True)
    ]


def extract_all(paths: list[Path], frames: int, jobs: int) -> None:
    """Extract clips, ``jobs`` of them at a time."""
    clips = [Clip(str(number), path, "01", "calm", "normal", 1, 1) for number, path in enumerate(paths)]
    steady = FaceBoxes(np.tile(BOXES[0], (frames, 1)), np.ones(frames), np.zeros(frames, bool))
    boxes, workers = {clip.id: steady for clip in clips}, {"jobs": max(jobs, 1), "backend": "threading", "address": ""}
    samples = extract.samples(clips, boxes, {}, BadClips("fail"), options=options(), **workers)
    assert sum(sample is not None for sample in samples) == len(paths)


def in_parallel(paths: list[Path], b_frames: int) -> list[Row]:
    """Measure extraction of several clips at a time: its wall clock says something on idle cores only."""
    alone, together = (partial(extract_all, paths, FRAMES, jobs) for jobs in (1, JOBS))
    # Other programs only lengthen a wall clock.
    floor_s = min(seconds(lambda: [decode_all(path) for path in paths], time.perf_counter) for _ in range(REPEATS))
    ours_s = min(seconds(together, time.perf_counter) for _ in range(REPEATS))
    name = f"extraction, {KINDS[b_frames]}, {JOBS} clips at a time"
    return [
        (f"{name}: wall clock by decoding every frame on one core", ours_s / floor_s, TARGET_TOGETHER),
        (f"{name}: CPU time by one at a time", seconds(together) / seconds(alone), TARGET_OF_THREADS),
    ]


def repeat(path: Path, source: Path, minutes: float) -> int:
    """Repeat a clip without encoding it again; return how many frames it has."""
    times = round(minutes * 60 / (FRAMES * 1001 / 30000))
    with av.open(str(source)) as read, av.open(str(path), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in read.streams}
        lengths = {stream.index: stream.duration for stream in read.streams}
        for number in range(times):
            read.seek(0)
            for packet in read.demux():
                if packet.dts is None or packet.pts is None or packet.pts >= lengths[packet.stream.index]:
                    continue
                index = packet.stream.index
                packet.pts += number * lengths[index]
                packet.dts += number * lengths[index]
                packet.stream = streams[index]
                out.mux(packet)
    return len(media.timeline(path).pts)


def peak_mib(path: Path, frames: int, jobs: int) -> float:
    """Measure the peak memory of a process that extracts a clip in each of ``jobs`` threads, and nothing else.

    Without the pages of files, the libraries' code: how many of them lie in memory differs by 60 MiB from run to run.
    """
    worker = multiprocessing.get_context("spawn").Process(target=extract_all, args=([path] * jobs, frames, jobs))
    worker.start()
    peak, process = 0, psutil.Process(worker.pid)
    while worker.is_alive():
        with suppress(psutil.Error):
            memory = process.memory_info()
            peak = max(peak, memory.rss - getattr(memory, "shared", 0))  # which only Linux tells
        time.sleep(0.02)
    assert worker.exitcode == 0
    return peak / 2**20


def memory(source: Path, minutes: float) -> list[Row]:
    """Measure the memory that extracting long clips takes, above the libraries' own."""
    long = source.with_name("long.mp4")
    frames = repeat(long, source, minutes)
    libraries = peak_mib(long, frames, 0)
    click.echo(f"{minutes:g} minutes, {frames} frames; the libraries take {libraries:.0f} MiB", err=True)
    return [
        (
            f"extraction of {count} x {minutes:g} minutes at a time: MiB above the libraries'",
            peak_mib(long, frames, count) - libraries,
            TARGET_MIB,
        )
        for count in (1, JOBS)
    ]


def rows(clips: int = 4, minutes: float = 10.0) -> list[Row]:
    """Measure; return names with units, figures and targets, of which none is to be exceeded (NaN: no target)."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    measured, found = ways(), []
    with tempfile.TemporaryDirectory() as folder:
        for b_frames in TARGETS:
            paths = [generate(Path(folder) / f"{b_frames}-{number}.mp4", b_frames, number) for number in range(clips)]
            for way in measured.values():
                way(paths[0])  # the first call builds tables
            found += ratios(paths, b_frames, measured)
            found += in_parallel(paths, b_frames)
        found += memory(Path(folder) / "3-0.mp4", minutes)
    return found


@click.command(help=__doc__)
@click.option("--clips", default=4, show_default=True, help="A multiple of two: two are extracted at a time.")
@click.option("--minutes", default=10.0, show_default=True, help="Length of the long clip.")
def main(**options: Any) -> None:
    for name, figure, target in rows(**options):
        click.echo(f"{figure:8.2f}  {'' if math.isnan(target) else f'(<= {target:g})':10}  {name}")


if __name__ == "__main__":
    main()
