"""Measure how OMP_WAIT_POLICY changes a training's speed: alone, and beside busy processes.

OpenMP's threads wait for each other many times a step. By default they wait by spinning, which is quick on idle cores
and slow where another process needs them; with ``passive`` they sleep. The stages set ``passive``: on two cores of an
AMD EPYC that other work shared, a step took 0.47 s in place of 2.0 s, and beside two more busy processes 0.70 s in
place of 7.1 s. Example: python benchmarks/wait_policy.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack

import click

STEPS = """
import sys, time
from dataclasses import replace
import torch
from benchmarks.step import SPEC, stepper
torch.set_num_threads(int(sys.argv[1]))
encoders = {**SPEC.encoders, "video": {**SPEC.encoders["video"], "layers": [1] * 4, "width": 32, "cardinality": 8}}
spec = replace(SPEC, encoders=encoders, inputs={**SPEC.inputs, "frames": [8, 64, 64, 3]})
step = stepper(spec.build(), spec, 16, precision="fp32", channels_last=True)
step()
started = time.perf_counter()
for _ in range(int(sys.argv[2])):
    step()
print((time.perf_counter() - started) / int(sys.argv[2]))
"""


def seconds_per_step(policy: str | None, busy: int, threads: int, steps: int) -> float:
    """Measure a small CFN-SR's training step beside ``busy`` processes that each keep a core busy."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {} if policy is None else {"OMP_WAIT_POLICY": policy}
    with ExitStack() as stack:
        for _ in range(busy):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(process.kill)
        command = [sys.executable, "-c", STEPS, str(threads), str(steps)]
        return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


@click.command(help=__doc__)
@click.option("--threads", default=2, show_default=True)
@click.option("--steps", default=20, show_default=True)
@click.option("--turns", default=2, show_default=True)
def main(threads: int, steps: int, turns: int) -> None:
    for busy in (0, 2):
        for _ in range(turns):
            for policy in (None, "passive"):
                seconds = seconds_per_step(policy, busy, threads, steps)
                click.echo(f"beside {busy} busy processes, {policy or 'default':8} {1000 * seconds:7.0f} ms a step")


if __name__ == "__main__":
    main()
