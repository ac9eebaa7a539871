"""``cfnsr launch``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cfnsr import config
from cfnsr.cli import timing
from cfnsr.cli.options import PARAMS, params_option
from cfnsr.cli.stage import console, echo
from cfnsr.errors import CfnsrError
from cfnsr.runtime import dvc_repository
from cfnsr.runtime import launch as jobs_module
from cfnsr.runtime.launch import repro
from cfnsr.runtime.launch.display import JobTable


@click.command()
@click.argument("stages", nargs=-1)
@click.option("--jobs", type=click.IntRange(1), help="Stages at a time on this machine.  [default: one for each "
              "train.devices GPUs; without GPUs, cores / train.threads]")  # fmt: skip
@click.option(
    "--ray", "address", metavar="ADDRESS", help="Run on this Ray cluster; `local` starts one on this machine."
)
@click.option("--slurm", is_flag=True, help="Submit each stage to Slurm.")
@click.option("--slurm-option", "options", metavar="NAME=VALUE", multiple=True, help="An option of sbatch.")
@click.option(
    "--gpus",
    type=click.IntRange(0),
    help="GPUs of a stage on a cluster.  [default: train.devices where a Ray cluster has any; 0 on Slurm]",
)
@params_option
def launch(
    stages: tuple[str, ...],
    jobs: int | None,
    address: str | None,
    slurm: bool,
    options: tuple[str, ...],
    gpus: int | None,
    params: Path,
) -> None:
    """Run what is stale of STAGES in parallel; without STAGES the whole pipeline.

    The results are those of `dvc repro`. It takes less time, because DVC writes dvc.lock once instead of after each
    stage. Stages that fail are listed at the end; run the command again to run only what is left. Ctrl-C ends all.

    \b
    Examples:
      cfnsr launch
      cfnsr launch --jobs 2 pretrain train
      cfnsr launch --ray auto              on the cluster that this machine belongs to
      cfnsr launch --slurm --gpus 1 --slurm-option partition=gpu --slurm-option time=120
    """
    if sum((jobs is not None, address is not None, slurm)) > 1:
        raise click.UsageError("--jobs is for this machine, --ray and --slurm are for clusters: give one of them")
    if gpus is not None and not (address or slurm):
        raise click.UsageError("--gpus is for clusters: give --ray or --slurm too")
    if options and not slurm:
        raise click.UsageError("--slurm-option needs --slurm")
    root = params.resolve().parent
    values = config.load(root / PARAMS)  # as DVC does, whatever the name of the file that was given
    plan = dvc_repository.plan(root, stages or dvc_repository.stage_names(root))
    if not plan.needs:
        echo(f"nothing to do: {plan.fresh} stages are up to date")
        return
    threads = values.train.threads * values.train.devices
    if values.train.device == "cpu":
        gpus = 0
    if address:
        from cfnsr.runtime.launch.on_ray import OnRay  # an extra

        backend = OnRay(root, address, threads=threads, gpus=gpus, devices=values.train.devices)
    elif slurm:
        from cfnsr.runtime.launch.on_slurm import OnSlurm  # an extra

        backend = OnSlurm(root, threads=threads, gpus=gpus or 0, options=_pairs(options))
    else:
        backend = _local(root, values, jobs, threads)
    with JobTable(console(), root, plan.needs, timing.read_seconds(root)) as table:
        summary = jobs_module.run_all(plan, backend, table)
    for outcome in summary.failed:
        problem = outcome.problem or "; ".join(repro.errors(outcome.job, root))
        echo(f"{outcome.job}: {problem} ({jobs_module.LOGS / outcome.job}.log)", err=True)
    if summary.failed:
        skipped = f", and {len(summary.skipped)} that need them did not run" if summary.skipped else ""
        problem = f"{len(summary.failed)} stages failed{skipped}"
        raise CfnsrError("launch", problem, "Remove the cause and run the same again")
    echo(f"{len(plan.needs)} stages done, {plan.fresh} were up to date")


def _local(root: Path, values: config.Params, jobs: int | None, threads: int) -> jobs_module.Backend:
    from cfnsr.runtime.launch import local

    gpus = [] if values.train.device == "cpu" else local.gpus()
    devices = values.train.devices
    fitting = len(gpus) // devices if gpus else (os.cpu_count() or 1) // threads
    return local.Local(root, jobs or max(1, fitting), gpus, devices)


def _pairs(options: tuple[str, ...]) -> dict[str, str]:
    """Split each ``NAME=VALUE``."""
    wrong = [option for option in options if "=" not in option]
    if wrong:
        raise click.UsageError(f"--slurm-option {wrong[0]}: write NAME=VALUE")
    return dict(option.split("=", 1) for option in options)
