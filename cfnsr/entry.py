"""What every stage's script shares: the way in, the way out when a user erred, and the note of how long it took."""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import click

from cfnsr import config
from cfnsr.atomic import atomic_file
from cfnsr.errors import CfnsrError

PARAMS = Path("params.yaml")
LOGS = Path("data/logs")

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


def stage(function: Callable[..., None]) -> click.Command:
    """Make a function ``main(params, <arguments>)`` a stage's command.

    Its docstring is the ``--help``. It gets the checked params first; ``--params`` says which file. A user's
    mistake ends it with one line and exit status 1; wall time goes to ``data/logs``, outside every output.
    """

    @functools.wraps(function)
    def run(params: Path, **arguments: object) -> None:
        started = time.monotonic()
        with one_line_errors():
            function(config.load(params), **arguments)
        log_time(function.__module__.rsplit(".", 1)[-1], time.monotonic() - started)

    option = click.option(
        "--params", type=click.Path(path_type=Path), default=PARAMS, show_default=True, help="The file of numbers."
    )
    return click.command(context_settings={"help_option_names": ["-h", "--help"]})(option(run))


def use_threads(count: int) -> None:
    """Say how many threads torch will have; to be called before torch is loaded, see ``train.make_reproducible``."""
    os.environ["OMP_NUM_THREADS"] = str(count)


class one_line_errors:  # noqa: N801 - reads as the statement it is
    """Turn a ``CfnsrError`` into one line on stderr and exit status 1."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, CfnsrError):
            raise click.ClickException(str(error)) from error


def log_time(name: str, seconds: float) -> None:
    """Note how long a run of a stage took, under the name that DVC gives it."""
    stage_name = os.environ.get("DVC_STAGE", name)
    with atomic_file(LOGS / f"{stage_name.replace('/', '_')}.json") as partial:
        partial.write_text(
            json.dumps({"stage": stage_name.split("@")[0].split(":")[-1], "wall_s": round(seconds, 2)}) + "\n",
            encoding="utf-8",
        )


def times() -> dict[str, tuple[int, float]]:
    """For each stage its last runs: how many, and their wall time together in seconds."""
    result: dict[str, tuple[int, float]] = {}
    for path in sorted(LOGS.glob("*.json")):
        note = json.loads(path.read_text(encoding="utf-8"))
        runs, seconds = result.get(note["stage"], (0, 0.0))
        result[note["stage"]] = (runs + 1, seconds + note["wall_s"])
    return result
