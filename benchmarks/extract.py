"""Measure the CPU time of extracting a clip, against the floor of decoding every frame with PyAV and dropping it.

Generates 16 clips of 3.7 s, 1280x720: a face-sized texture that moves before a still backdrop, and noise that is new
in every frame, as a camera's is; x264 `medium` at 8 Mbit/s, with and without B-frames. All decoders take turns on each
clip, and only the ratios count, because machines differ. Then the memory is measured on a clip of ten minutes. Example:
python benchmarks/extract.py
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
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
from cfnsr.preprocessing import extract, media, video
from cfnsr.preprocessing.extract import ExtractOptions
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.runtime.bad_clips import BadClips

FRAMES, WIDTH, HEIGHT, FACE = 111, 1280, 720, 400
TARGETS = {3: 0.85, 0: 1.15}
VIDEO = {"frames": 30, "side_px": 224}
AUDIO = config.load(Path(__file__).parents[1] / "presets/base.yaml").extract.audio.model_dump()


def options(decoder: str = "pyav") -> ExtractOptions:
    return ExtractOptions(0.5, 2.45, {**VIDEO, "decoder": decoder}, AUDIO)


def generate(path: Path, b_frames: int, noisy: int, seed: int) -> Path:
    """Write one clip."""
    random = np.random.default_rng(seed)
    scene = random.integers(0, 255, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    face = random.integers(0, 255, (FACE // 8, FACE // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    # Each frame takes another cut of one large field of noise, which is faster than drawing new noise.
    noise = random.integers(-noisy, noisy + 1, (HEIGHT + 200, WIDTH + 200, 1), dtype=np.int16)
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


def extract_clip(path: Path, decoder: str = "pyav") -> None:
    extract.sample(Clip(path.stem, path, "01", "sad"), np.tile([640.0, 360.0, 440.0], (FRAMES, 1)), options(decoder))


def cpu_s(work: Callable[[Path], None], path: Path) -> float:
    started = time.process_time()
    work(path)
    return time.process_time() - started


def ratios(paths: list[Path], b_frames: int) -> None:
    others = [name for name in video.names() if name != "pyav"]
    ways = [decode_all, extract_clip, *(lambda path, name=name: extract_clip(path, name) for name in others)]
    times = np.array([[cpu_s(way, path) for way in ways] for path in paths])
    medians = [statistics.median(column) * 1000 for column in times.T]
    shares = [statistics.median(column / times[:, 0]) for column in times.T]
    click.echo(f"B-frames {b_frames}: floor {medians[0]:.0f} ms CPU a clip")
    click.echo(f"  extract: {medians[1]:.0f} ms, ratio {shares[1]:.2f} (to be <= {TARGETS[b_frames]})")
    for name, median, share in zip(others, medians[2:], shares[2:], strict=True):
        click.echo(f"  with {name}: {median:.0f} ms, ratio {share:.2f}")


def threads(jobs: int) -> dict[str, Any]:
    return {"jobs": jobs, "backend": "threading", "address": "auto"}


def faces(clips: list[Clip], frames: int) -> dict[str, FaceBoxes]:
    steady = FaceBoxes(np.tile([640.0, 360.0, 440.0], (frames, 1)), np.ones(frames), np.zeros(frames, bool))
    return {clip.id: steady for clip in clips}


def in_parallel(paths: list[Path], jobs: int) -> None:
    """Measure the wall clock of extraction on several cores, against the floor on one."""
    clips = [Clip(path.stem, path, "01", "calm", "normal", 1, 1) for path in paths]
    started = time.perf_counter()
    for path in paths:
        decode_all(path)
    alone = time.perf_counter() - started
    samples = extract.samples(clips, faces(clips, FRAMES), {}, BadClips("fail"), options=options(), **threads(jobs))
    started = time.perf_counter()
    assert sum(sample is not None for sample in samples) == len(paths)
    together = time.perf_counter() - started
    click.echo(f"  wall clock, {jobs} at a time: ratio {together / alone:.2f} (to be <= 0.5 on two cores)")


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


def extract_together(path: Path, frames: int, jobs: int) -> None:
    """Extract a long clip in each of ``jobs`` threads."""
    clips = [Clip(str(number), path, "01", "calm", "normal", 1, 1) for number in range(jobs)]
    samples = extract.samples(clips, faces(clips, frames), {}, BadClips("fail"), options=options(), **threads(jobs))
    assert sum(sample is not None for sample in samples) == jobs


def peak_mib(path: Path, frames: int, jobs: int) -> float:
    """Measure the peak memory of a process that only extracts, the libraries' files included."""
    worker = multiprocessing.get_context("spawn").Process(target=extract_together, args=(path, frames, jobs))
    worker.start()
    peak, process = 0, psutil.Process(worker.pid)
    while worker.is_alive():
        with suppress(psutil.Error):
            peak = max(peak, process.memory_info().rss)
        time.sleep(0.02)
    assert worker.exitcode == 0
    return peak / 2**20


@click.command(help=__doc__)
@click.option("--clips", default=16, show_default=True)
@click.option("--noisy", default=6, show_default=True, help="Largest noise, in steps of 256.")
@click.option("--minutes", default=10.0, show_default=True, help="Length of the long clip.")
@click.option("--jobs", default=2, show_default=True, help="Clips at a time, where wall clock is measured.")
def main(clips: int, noisy: int, minutes: float, jobs: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        for b_frames in TARGETS:
            paths = [
                generate(Path(folder) / f"{b_frames}-{number}.mp4", b_frames, noisy, number) for number in range(clips)
            ]
            extract_clip(paths[0])  # the first call builds the filter bank
            ratios(paths, b_frames)
            in_parallel(paths, jobs)
        long = Path(folder) / "long.mp4"
        frames = repeat(long, Path(folder) / "3-0.mp4", minutes)
        size = long.stat().st_size / 2**20
        click.echo(f"{minutes:g} minutes, {frames} frames, {size:.0f} MiB:")
        libraries = peak_mib(long, frames, 0)
        for clips_at_once in (1, jobs):
            peak = peak_mib(long, frames, clips_at_once)
            click.echo(
                f"  {clips_at_once} at a time: {peak:.0f} MiB at most, {libraries:.0f} of them the libraries';"
                f" {peak / clips_at_once:.0f} a worker (to be <= 600)"
            )


if __name__ == "__main__":
    main()
