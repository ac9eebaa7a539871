"""Measure the time of DVC itself: 24 speakers, with stubs in place of the stages, in a temporary repository.

Runs the pipeline once under a profiler, then three times with nothing to do. Example: python benchmarks/pipeline.py
"""

from __future__ import annotations

import pstats
import sys
import tempfile
import time
from pathlib import Path

import click
from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.repository import Repository

# Functions of DVC by file and name; each figure includes what the function calls.
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


def widen(repository: Repository, speakers: int, folds: int) -> None:
    """Write that many speakers, and folds of them, into the params of a repository."""
    path = repository.folder / "params.yaml"
    yaml = YAML()
    values = yaml.load(path.read_text())
    names = [f"{number:02d}" for number in range(1, speakers + 1)]
    values["actors"] = names
    values["folds"] = {f"fold_{fold + 1}": names[fold::folds] for fold in range(folds)}
    with path.open("w") as file:
        yaml.dump(values, file)


@click.command(help=__doc__)
@click.option("--speakers", default=24, show_default=True)
@click.option("--folds", default=6, show_default=True)
def main(speakers: int, folds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository.shipped(Path(folder) / "repository", stubs=True)
        widen(repository, speakers, folds)
        profile = repository.folder / "profile"
        started = time.perf_counter()
        repository.run(sys.executable, "-m", "cProfile", "-o", str(profile), "-m", "dvc", "repro")
        click.echo(f"{len(repository.stages)} stages: {time.perf_counter() - started:.0f} s")
        functions = vars(pstats.Stats(str(profile)))["stats"]  # an attribute that its type stub leaves out
        for name, (file, function) in PARTS.items():
            seconds = [row[3] for (path, _, named), row in functions.items() if named == function and file in path]
            click.echo(f"  {name}: {max(seconds, default=0):.1f} s")
        times = []
        for _ in range(3):
            started = time.perf_counter()
            assert not repository.repro()
            times.append(time.perf_counter() - started)
        click.echo(f"nothing to do: {sorted(times)[1]:.1f} s (to be <= 4)")


if __name__ == "__main__":
    main()
