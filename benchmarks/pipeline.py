"""Where the time of a `dvc repro` goes that is not the stages': 24 speakers at tiny scale, in a repository of its own.

Runs the pipeline once under a profiler, then three times with nothing to do. Example: python benchmarks/pipeline.py
"""

from __future__ import annotations

import json
import pstats
import sys
import tempfile
import time
from pathlib import Path

import click
from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.repository import Repository

# The functions of DVC that a reader can make sense of, by file and name; time within them, with all they call.
PARTS = {
    "waiting for the stages": ("stage/run.py", "cmd_run"),
    "writing dvc.lock": ("dvc/dvcfile.py", "dump_stages"),
    "remembering runs": ("stage/cache.py", "save"),
    "hashing what stages depend on": ("dvc/stage/__init__.py", "save_deps"),
    "hashing outputs": ("dvc/stage/__init__.py", "save_outs"),
    "moving outputs to the cache": ("dvc/stage/__init__.py", "commit"),
    "asking whether stages changed": ("dvc/stage/__init__.py", "changed"),
    "locks between processes": ("dvc/rwlock.py", "rwlock"),
}


def widened(repository: Repository, actors: int, folds: int) -> None:
    path = repository.folder / "params.yaml"
    yaml = YAML()
    values = yaml.load(path.read_text())
    names = [f"{number:02d}" for number in range(1, actors + 1)]
    values["actors"] = names
    values["folds"] = {f"fold_{fold + 1}": names[fold::folds] for fold in range(folds)}
    with path.open("w") as file:
        yaml.dump(values, file)


def stages_s(repository: Repository) -> float:
    logs = (repository.folder / "data/logs").glob("*.json")
    return sum(json.loads(path.read_text())["wall_s"] for path in logs)


@click.command(help=__doc__)
@click.option("--actors", default=24, show_default=True)
@click.option("--folds", default=6, show_default=True)
def main(actors: int, folds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository.shipped(Path(folder) / "repository")
        widened(repository, actors, folds)
        profile = repository.folder / "profile"
        started = time.perf_counter()
        repository.run(sys.executable, "-m", "cProfile", "-o", str(profile), "-m", "dvc", "repro")
        whole, stages = time.perf_counter() - started, stages_s(repository)
        count = len(repository.stages)
        click.echo(f"{count} stages: {whole:.0f} s; the stages' own {stages:.0f} s, DVC's {whole - stages:.0f} s")
        found = pstats.Stats(str(profile)).stats  # pyright: ignore[reportAttributeAccessIssue]
        for name, (file, function) in PARTS.items():
            spent = [row[3] for (path, _, called), row in found.items() if called == function and path.endswith(file)]
            click.echo(f"  {name}: {max(spent, default=0):.1f} s")
        times = []
        for _ in range(3):
            started = time.perf_counter()
            assert not repository.repro()
            times.append(time.perf_counter() - started)
        click.echo(f"nothing to do: {sorted(times)[1]:.1f} s (to be <= 4)")


if __name__ == "__main__":
    main()
