"""Measure a training step at the published size: CFN-SR, forward, backward and Adam.

First alternates, in one process, plain fp32 with channels first, as the published code computes; channels last; and
bf16. Then freed memory is kept, as in training, and these alternate with bf16 without torch's deterministic mode,
compiled, and with the plain step. Example: python benchmarks/step.py --clips 2 --compile
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import click
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from cfnsr.evaluation import device
from cfnsr.evaluation.predict import Normalise
from cfnsr.models.encoders.video.resnext3d import Bottleneck
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


def turns_of(kinds: Mapping[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Measure the seconds of each kind of step: the median of its turns, without the first."""
    spent: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(turns + 1):
        for name, step in kinds.items():
            started = time.perf_counter()
            step()
            spent[name].append(time.perf_counter() - started)
    return {name: float(np.median(seconds[1:])) for name, seconds in spent.items()}


def tera_operations(step: Callable[[], None]) -> float:
    """Count the floating-point operations of a step, in units of 10^12."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops() / 1e12


def saved_gb(network: nn.Module, clips: int, precision: str) -> float:
    """Measure what the forward pass keeps for the backward pass, in GB, without the weights."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    storages: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        stepper(network, SPEC, clips, precision=precision, channels_last=True)()
    return sum(storages.values()) / 1e9


def rows() -> list[tuple[str, float, float]]:
    """Measure a step of two clips: what is measured, the figure, the target."""
    device.make_reproducible(1, 2, CPU)
    network, precision = SPEC.build(), device.pick_precision("auto", CPU)
    plain = stepper(_published(network), SPEC, 2, precision="fp32", channels_last=False)
    before = turns_of({"plain": plain}, 1)["plain"]
    device.keep_freed_memory()
    after = turns_of(
        {name: stepper(network, SPEC, 2, precision=name, channels_last=True) for name in ("fp32", "bf16")}, 1
    )
    name = (
        f"training step of CFN-SR at the published size, `precision: auto` (here {precision}), of a plain step's time"
    )
    return [
        (name, after[precision] / before, 1 / 4.5),
        ("the same with `precision: bf16`", after["bf16"] / before, 1 / 4.5),
    ]


def _published(network: nn.Module) -> nn.Module:
    """Return a copy in which the video encoder's groups are not joined: the arithmetic of the published code."""
    plain = copy.deepcopy(network)
    for block in plain.modules():
        if isinstance(block, Bottleneck):
            block.middle_convolution = block.conv2  # type: ignore[method-assign]
    return plain


@click.command(help=__doc__)
@click.option("--clips", default=2, show_default=True, help="Clips a step.")
@click.option("--turns", default=3, show_default=True, help="Counted; one more comes before.")
@click.option("--threads", default=2, show_default=True)
@click.option("--compile", "compiled", is_flag=True, help="Also torch.compile, which takes minutes.")
def main(clips: int, turns: int, threads: int, compiled: bool) -> None:
    device.make_reproducible(1, threads, CPU)
    network = SPEC.build()
    plain = stepper(_published(network), SPEC, clips, precision="fp32", channels_last=False)
    last = stepper(network, SPEC, clips, precision="fp32", channels_last=True)
    half = stepper(network, SPEC, clips, precision="bf16", channels_last=True)

    def nondeterministic() -> None:
        torch.set_deterministic_debug_mode("default")
        half()
        torch.set_deterministic_debug_mode("error")

    first = "plain fp32, channels first"
    spent = turns_of({first: plain, "channels last": last, "and bf16": half}, turns)
    device.keep_freed_memory()  # cannot be undone within a process
    kept = {"fp32 and memory kept: ours": last, "bf16 and memory kept: ours": half}
    kept |= {"bf16, not deterministic": nondeterministic, "plain, memory kept": plain}
    if compiled:
        for precision in ("fp32", "bf16"):
            compiled_network = cast("nn.Module", torch.compile(network))
            kept[f"{precision}, compiled"] = stepper(
                compiled_network, SPEC, clips, precision=precision, channels_last=True
            )
    spent |= turns_of(kept, turns)
    operations = tera_operations(plain)
    click.echo(f"CFN-SR at the published size, a step of {clips} clips on {threads} threads")
    click.echo(f"`precision: auto` selects {device.pick_precision('auto', CPU)} here")
    for name, seconds in spent.items():
        speed = 1000 * operations / seconds
        click.echo(f"  {name:28} {seconds:6.2f} s, {spent[first] / seconds:.2f} x, {speed:.0f} GFLOP/s")
    click.echo("Kept for the backward pass:")
    for precision in ("fp32", "bf16"):
        click.echo(f"  {precision}: {saved_gb(network, clips, precision):.2f} GB")


if __name__ == "__main__":
    main()
