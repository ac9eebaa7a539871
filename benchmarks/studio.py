"""Measure the CPU seconds to make a studio clip, and clips a second and core. Example: python benchmarks/studio.py"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import click

from cfnsr import config
from cfnsr.corpora.studio import prepare


@click.command(help=__doc__)
@click.option("--params", type=click.Path(path_type=Path), default=Path("params.yaml"), show_default=True)
def main(params: Path) -> None:
    options = config.load(params).corpora.studio.model_dump()
    with tempfile.TemporaryDirectory() as folder:
        started, cpu = time.monotonic(), time.process_time()
        prepare.prepare("01", Path(folder), **options, source=None, jobs=0)
        wall_s, cpu_s = time.monotonic() - started, time.process_time() - cpu
        clips = len([*Path(folder).glob("*.mp4")])
    click.echo(
        f"{clips} clips: {cpu_s / clips:.2f} CPU s each, {clips / cpu_s:.2f} a second and core, "
        f"{wall_s:.1f} s wall on {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
