"""What a clip costs to extract, against the floor of decoding every frame with PyAV and dropping it.

Generates 16 clips of 3.7 s, 1280x720, noise added, x264 `medium` at 8 Mbit/s, with and without B-frames, and takes
turns between the two ways. One run, one machine: only the ratio counts. Example: python benchmarks/extract.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import click
import numpy as np
import torch

from cfnsr import extract

FRAMES, WIDTH, HEIGHT = 111, 1280, 720
TARGETS = {3: 0.85, 0: 1.15}


def generated(path: Path, b_frames: int, seed: int) -> Path:
    """A picture that drifts under noise, and a tone."""
    random = np.random.default_rng(seed)
    scene = random.integers(0, 255, (HEIGHT // 16 + 8, WIDTH // 16 + 8, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    noise = random.integers(-6, 7, (4, HEIGHT, WIDTH, 1), dtype=np.int16)
    with av.open(str(path), "w") as out:
        options = {"preset": "medium", "bf": str(b_frames), "threads": "1"}
        video = out.add_stream("libx264", rate=Fraction(30000, 1001), options=options)
        video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", 8_000_000
        audio = out.add_stream("aac", rate=48000, layout="mono")
        for number in range(FRAMES):
            shift = number % 100
            picture = scene[shift : shift + HEIGHT, shift : shift + WIDTH] + noise[number % 4]
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), "rgb24")))
        out.mux(video.encode(None))
        sound = np.sin(np.arange(round(3.7 * 48000)) / 20).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(sound, "fltp", "mono")
        frame.sample_rate = 48000
        out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
    return path


def floor(path: Path) -> None:
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        for _ in container.decode(video=0):
            pass


def ours(path: Path) -> None:
    extract.sample(
        path,
        np.tile([640.0, 360.0, 400.0], (FRAMES, 1)),
        frames=30,
        side_px=224,
        rate_hz=44100,
        offset_s=0.5,
        window_s=2.45,
        n_fft=2048,
        hop=512,
        mels=128,
        coefficients=13,
        top_db=80.0,
    )


def cpu_s(work: Callable[[Path], None], path: Path) -> float:
    started = time.process_time()
    work(path)
    return time.process_time() - started


@click.command(help=__doc__)
@click.option("--clips", default=16, show_default=True)
def main(clips: int) -> None:
    torch.set_num_threads(1)
    for b_frames, target in TARGETS.items():
        with tempfile.TemporaryDirectory() as folder:
            paths = [generated(Path(folder) / f"{number}.mp4", b_frames, number) for number in range(clips)]
            ours(paths[0])  # the first call builds the filter bank
            pairs = [(cpu_s(floor, path), cpu_s(ours, path)) for path in paths]
        base, cost = (statistics.median(values) for values in zip(*pairs, strict=True))
        ratio = statistics.median(own / all_ for all_, own in pairs)
        click.echo(
            f"B-frames {b_frames}: floor {1000 * base:.0f} ms, extract {1000 * cost:.0f} ms CPU a clip, "
            f"ratio {ratio:.2f} (to be <= {target})"
        )


if __name__ == "__main__":
    main()
