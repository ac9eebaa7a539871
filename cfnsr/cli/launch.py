"""``cfnsr launch``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cfnsr import config
from cfnsr.cli.options import params_option
from cfnsr.cli.stage import console, one_line_errors
from cfnsr.errors import CfnsrError

STAGES = ("pretrain", "train")


@click.command()
@click.argument("stages", nargs=-1)
@click.option(
    "--jobs", type=click.IntRange(1), help="Cells at a time on this machine.  [default: cores / threads of a cell]"
)
@click.option("--ray", "address", metavar="ADDRESS", help="Of a Ray cluster; `local` starts one on this machine.")
@click.option(
    "--gpus",
    type=click.IntRange(0),
    help="With --ray: GPUs a cell takes.  [default: train.devices where there are any]",
)
@params_option
def launch(stages: tuple[str, ...], jobs: int | None, address: str | None, gpus: int | None, params: Path) -> None:
    """Run every stale cell of STAGES side by side; without STAGES those of pretrain and train.

    Each is a `dvc repro --single-item` of its own, with the same results as one after another. What a failure leaves
    undone is told at the end; run the same again and only what is left runs. Ctrl-C ends all. Data must be ready:
    `dvc repro check` before, `dvc repro` after.

    \b
    Examples:
      cfnsr launch --jobs 2
      cfnsr launch pretrain
      cfnsr launch --ray auto            on the cluster that this machine belongs to
      cfnsr launch --ray local           here, each cell with a GPU of its own
    """
    from cfnsr.runtime.launch import LOGS, Engine, cell, plan, run_all
    from cfnsr.runtime.launch.shown import Shown  # imports DVC, as do the above

    root = params.resolve().parent
    with one_line_errors():
        if jobs and address:
            raise click.UsageError("--jobs is for this machine, --ray for a cluster: give one of them")
        if gpus is not None and not address:
            raise click.UsageError("--gpus needs --ray, which gives each cell its own")
        values = config.load(params)
        before = plan.locked(root)
        made = plan.made(root, stages or STAGES)
        if not made.needs:
            click.echo(f"nothing to do: {made.fresh} cells are up to date")
            return
        if values.train.nodes > 1:
            raise CfnsrError("train.nodes", "is more than one; cells are launched for one", "Run `dvc repro`")
        devices = values.train.devices
        threads = values.train.threads * devices
        engine: Engine
        if address:
            from cfnsr.runtime.launch.on_ray import OnRay  # an extra

            gpus = 0 if values.train.device == "cpu" else gpus
            engine = OnRay(root, address, threads=threads, devices=devices, gpus=gpus)
        else:
            from cfnsr.runtime.launch.here import Here

            engine = Here(root, jobs or max(1, (os.cpu_count() or 1) // threads))
        terminal = console()
        try:
            with Shown(terminal, root, len(made.needs)) as shown:
                told = run_all(made, engine, shown)
        finally:
            plan.order_lock(root, before)
        for outcome in told.failed:
            why = outcome.why or "; ".join(cell.said(root / LOGS / f"{outcome.cell}.log"))
            click.echo(f"{outcome.cell}: {why} ({LOGS / outcome.cell}.log)", err=True)
        if told.failed:
            left = f", and {len(told.waiting)} that need them did not run" if told.waiting else ""
            raise CfnsrError(
                "launch", f"{len(told.failed)} cells failed{left}", "Mend the cause and run the same again"
            )
    click.echo(f"{len(made.needs)} cells done, {made.fresh} were up to date")
