"""Measure the time of DVC itself, with stubs in place of the stages, in temporary repositories.

Eight speakers in four folds are run by `dvc repro` and by `cfnsr launch`, 24 in six folds by `cfnsr launch` alone; then
both commands have nothing to do. Processor time, of which other programs cost little. Example:
python benchmarks/pipeline.py
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import click
from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.repository import Repository

_STUDIO, _LARGE = (8, 4), (24, 6)  # speakers and folds


class Measured(Repository):
    """A repository in which DVC runs as users run it: without what makes the tests faster."""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"PYTHONPATH": str(self.folder)}


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


def processor_s(repository: Repository, *command: str) -> float:
    """Run a command in a repository; return the processor time of all its processes, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    repository.run(*command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rows() -> list[tuple[str, float, float]]:
    """Return what is measured with its unit, the figure, and its target."""
    with tempfile.TemporaryDirectory() as folder:
        shipped = Measured.shipped(Path(folder) / "shipped", stubs=True)
        by_dvc, by_launch, large = (shipped.copy(Path(folder) / name) for name in ("dvc", "launch", "large"))
        for repository, size in ((by_dvc, _STUDIO), (by_launch, _STUDIO), (large, _LARGE)):
            widen(repository, *size)
        dvc_s, launch_s = processor_s(by_dvc, "dvc", "repro"), processor_s(by_launch, "cfnsr", "launch")
        large_s = processor_s(large, "cfnsr", "launch")
        nothing = {
            (command, speakers): min(processor_s(repository, *command.split()) for _ in range(2))
            for repository, speakers in ((by_dvc, 8), (large, 24))
            for command in ("dvc repro", "cfnsr launch")
        }
        lock_kb, stages, large_stages = len(by_dvc.lock) / 1000, len(by_dvc.stages), len(large.stages)
    return [
        ("cfnsr launch / dvc repro, 8 speakers, stubs, processor time", launch_s / dvc_s, 0.5),
        (
            "cfnsr launch, 24 speakers / 8 speakers, processor time a stage",
            large_s * stages / launch_s / large_stages,
            1.2,
        ),
        ("dvc.lock, KB a stage of 8 speakers", lock_kb / stages, 1.4),
        *(
            (f"{command}, nothing to do, {speakers} speakers, processor s", seconds, 2.0 if speakers == 8 else 3.0)
            for (command, speakers), seconds in nothing.items()
        ),
        ("dvc repro, processor s a stage of 8 speakers", dvc_s / stages, 0.7),
        ("cfnsr launch, processor s a stage of 8 speakers", launch_s / stages, 0.4),
    ]


@click.command(help=__doc__)
def main() -> None:
    for name, measured, target in rows():
        click.echo(f"{name:70} {measured:6.2f}  (to be <= {target:g})")


if __name__ == "__main__":
    main()
