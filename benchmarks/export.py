"""Export every network at the published size, and compare the file with torch.

Weights are fresh ones: operations, sizes and times do not depend on them. Example: python benchmarks/export.py cfnsr
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click
import torch

from cfnsr.inference import export
from cfnsr.models import checkpoint, summary

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support import zoo


@click.command()
@click.argument("names", nargs=-1)
@click.option("--suffix", default=".onnx", show_default=True, help="The format.")
def main(names: tuple[str, ...], suffix: str) -> None:
    """Print size, time and greatest difference of each network."""
    with tempfile.TemporaryDirectory() as folder:
        model, out = Path(folder) / "model.safetensors", Path(folder) / f"network{suffix}"
        for name in names or summary.names():
            torch.manual_seed(0)
            spec = zoo.spec(name, paper_scale=True)
            checkpoint.save(model, spec.build(), spec)
            start = time.perf_counter()
            written = export.export(model, out)
            seconds = time.perf_counter() - start
            click.echo(f"{name:15} {written.size / 1e6:6.1f} MB {seconds:5.0f} s  differs by {written.difference:.1e}")


if __name__ == "__main__":
    main()
