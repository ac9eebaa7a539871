"""What a training step costs at the published size: CFN-SR, forward, backward and Adam.

Takes turns, in one process, between plain fp32 with channels first, as the published code computes; channels last; and
the precision that `auto` picks. Then memory is kept, which makes ours, and turns go on between it, the same without
torch's deterministic mode, and the plain step once more. Example:
python benchmarks/step.py --clips 2
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cfnsr import config
from cfnsr.config import preset
from cfnsr.corpora.filenames import LABELS
from cfnsr.data import dataset
from cfnsr.evaluation import device, memory
from cfnsr.models import checkpoint, summary
from cfnsr.training.optimiser import Adam

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")


def paper_scale() -> tuple[nn.Module, summary.Inputs]:
    with tempfile.TemporaryDirectory() as folder:
        params = Path(shutil.copy(ROOT / "params.yaml", folder))
        preset.apply(params, ROOT / "presets" / "paper_scale.yaml")
        values = config.load(params)
    inputs = summary.Inputs.of(values.extract.video.model_dump(), values.extract.audio.model_dump())
    encoders = values.encoders.model_dump()
    encoders["audio"] |= {"coefficients": inputs.coefficients, "steps": inputs.steps}
    options = values.system("cfnsr").options
    return checkpoint.build({"name": "cfnsr", "labels": LABELS, "encoders": encoders, "options": options}), inputs


def stepper(
    network: nn.Module, inputs: summary.Inputs, clips: int, *, precision: str, last: bool
) -> Callable[[], None]:
    random = torch.Generator().manual_seed(0)
    shape = (clips, inputs.frames, inputs.side_px, inputs.side_px, 3)
    pixels = torch.randint(0, 255, shape, dtype=torch.uint8, generator=random)
    mel = torch.randn(clips, inputs.mels, inputs.steps, generator=random)
    mfcc = torch.randn(clips, inputs.coefficients, inputs.steps, generator=random)
    label = torch.arange(clips) % len(LABELS)
    mean, deviation = torch.full((3,), 110.0), torch.full((3,), 40.0)
    adam = Adam(network.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        frames = dataset.normalised(pixels, mean, deviation)
        if not last:
            frames = frames.contiguous()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            fused = network(frames, mel, mfcc).fused
        F.nll_loss(fused.float(), label).backward()
        adam.step()
        adam.zero_grad(set_to_none=True)

    return step


def turns_of(kinds: dict[str, Callable[[], None]], turns: int) -> dict[str, float]:
    """Seconds of each kind, the median of its turns; the first does not count."""
    spent: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(turns + 1):
        for name, step in kinds.items():
            started = time.perf_counter()
            step()
            spent[name].append(time.perf_counter() - started)
    return {name: float(np.median(seconds[1:])) for name, seconds in spent.items()}


@click.command(help=__doc__)
@click.option("--clips", default=2, show_default=True, help="A step.")
@click.option("--turns", default=3, show_default=True, help="Counted; one more comes before.")
@click.option("--threads", default=2, show_default=True)
def main(clips: int, turns: int, threads: int) -> None:
    device.make_reproducible(1, threads, CPU)
    network, inputs = paper_scale()
    picked = device.pick_precision("auto", CPU)
    plain, last, auto = (
        stepper(network, inputs, clips, precision=precision, last=channels_last)
        for precision, channels_last in (("fp32", False), ("fp32", True), (picked, True))
    )

    def free() -> None:
        torch.set_deterministic_debug_mode("default")
        auto()
        torch.set_deterministic_debug_mode("error")

    first = "plain fp32, channels first"
    spent = turns_of({first: plain, "channels last": last, f"and {picked}": auto}, turns)
    memory.keep()  # from here on; there is no way back within a process
    kept = {"and memory kept: ours": auto, "ours, not deterministic": free, "plain, memory kept": plain}
    spent |= turns_of(kept, turns)
    click.echo(f"CFN-SR at the published size, a step of {clips} clips on {threads} threads")
    for name, seconds in spent.items():
        click.echo(f"  {name:28} {seconds:6.2f} s, {spent[first] / seconds:.2f} x")


if __name__ == "__main__":
    main()
