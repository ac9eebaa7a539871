"""``cfnsr export``."""

from __future__ import annotations

from pathlib import Path

import click

from cfnsr.cli.options import IN_FILE, OUT_FILE
from cfnsr.cli.stage import echo
from cfnsr.runtime.outputs import writing


@click.command()
@click.argument("model", type=IN_FILE)
@click.argument("out", type=OUT_FILE)
def export(model: Path, out: Path) -> None:
    """Write MODEL (safetensors) as OUT.onnx for other runtimes, or as OUT.pt2 of torch.export.

    OUT takes frames, MFCC or log-mel as they are stored in the shards, any number of clips at a time, and returns
    log-probabilities. Its metadata contain the preprocessing, the emotions, and the model's card. OUT is
    compared with MODEL on random clips, and deleted if it differs. ONNX needs `pip install 'cfnsr[onnx]'`; `cfnsr
    predict --model OUT.onnx` uses it.

    \b
    Examples:
      cfnsr export data/studio/best/model.safetensors cfnsr.onnx
      cfnsr export data/studio/best/model.safetensors cfnsr.pt2
    """
    from cfnsr.inference import export as exporting  # imports torch

    with writing(out):
        written = exporting.export(model, out)
    spec = written.spec
    shapes = (f"{name} ({dtype}, {_shape(spec.inputs[name])} a clip)" for name, dtype in written.inputs.items())
    echo(f"{out}: {spec.name}, {written.size / 1e6:.1f} MB")
    echo(f"reads {', '.join(shapes)}")
    echo(f"returns {', '.join(written.outputs)} of {', '.join(spec.labels)}")
    checked = " and ".join(map(str, exporting.CHECKED))
    echo(f"differs from torch by at most {written.difference:.1g} on batches of {checked} random clips")


def _shape(sizes: list[int]) -> str:
    return "x".join(map(str, sizes))
