"""Measure a training step at the published size: CFN-SR, forward, backward and Adam.

First alternates, in one process, plain fp32 with channels first, as the published code computes; channels last; and
the precision that `auto` selects. Then freed memory is kept, as in training, and the last of these alternates with the
same without torch's deterministic mode, and with the plain step. Example: python benchmarks/step.py --clips 2
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cfnsr.evaluation import device
from cfnsr.evaluation.predict import Normalise
from cfnsr.models.spec import ModelSpec
from cfnsr.models.types import Batch
from cfnsr.training.optimiser import Adam

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support import zoo

CPU = torch.device("cpu")
SPEC = zoo.spec("cfnsr", paper_scale=True)


def random_batch(spec: ModelSpec, clips: int) -> Batch:
    """Make a batch of random clips as data loaders give it."""
    generator = torch.Generator().manual_seed(0)
    arrays = {name: torch.randn(clips, *shape, generator=generator) for name, shape in spec.inputs.items()}
    arrays["frames"] = (40 * arrays["frames"] + 110).clamp(0, 255).to(torch.uint8)
    return Batch(arrays, torch.arange(clips) % len(spec.labels))


def stepper(
    network: nn.Module, spec: ModelSpec, clips: int, *, precision: str, channels_last: bool
) -> Callable[[], None]:
    """Return a function that trains one step."""
    batch, normalise = random_batch(spec, clips), Normalise(**spec.pixels, device=CPU)
    adam = Adam(network.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        normalised = normalise(batch)
        if not channels_last:
            normalised = normalised.replace(frames=normalised["frames"].contiguous())
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            fused = network(normalised).fused
        F.nll_loss(fused.float(), batch.label).backward()
        adam.step()
        adam.zero_grad(set_to_none=True)

    return step


def turns_of(kinds: dict[str, Callable[[], None]], turns: int) -> dict[str, float]:
    """Measure the seconds of each kind of step: the median of its turns, without the first."""
    spent: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(turns + 1):
        for name, step in kinds.items():
            started = time.perf_counter()
            step()
            spent[name].append(time.perf_counter() - started)
    return {name: float(np.median(seconds[1:])) for name, seconds in spent.items()}


@click.command(help=__doc__)
@click.option("--clips", default=2, show_default=True, help="Clips a step.")
@click.option("--turns", default=3, show_default=True, help="Counted; one more comes before.")
@click.option("--threads", default=2, show_default=True)
def main(clips: int, turns: int, threads: int) -> None:
    device.make_reproducible(1, threads, CPU)
    network, picked = SPEC.build(), device.pick_precision("auto", CPU)
    plain, last, auto = (
        stepper(network, SPEC, clips, precision=precision, channels_last=channels_last)
        for precision, channels_last in (("fp32", False), ("fp32", True), (picked, True))
    )

    def nondeterministic() -> None:
        torch.set_deterministic_debug_mode("default")
        auto()
        torch.set_deterministic_debug_mode("error")

    first = "plain fp32, channels first"
    spent = turns_of({first: plain, "channels last": last, f"and {picked}": auto}, turns)
    device.keep_freed_memory()  # cannot be undone within a process
    kept = {"and memory kept: ours": auto, "ours, not deterministic": nondeterministic, "plain, memory kept": plain}
    spent |= turns_of(kept, turns)
    click.echo(f"CFN-SR at the published size, a step of {clips} clips on {threads} threads")
    for name, seconds in spent.items():
        click.echo(f"  {name:28} {seconds:6.2f} s, {spent[first] / seconds:.2f} x")


if __name__ == "__main__":
    main()
