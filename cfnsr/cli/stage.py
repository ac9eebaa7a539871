"""What every stage's script shares: the way in, the way out when a user erred, and the note of how long it took."""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import psutil

from cfnsr import config
from cfnsr.errors import CfnsrError
from cfnsr.runtime.outputs import atomic_file

if TYPE_CHECKING:
    from rich.console import Console

    from cfnsr.corpora.source import Source

PARAMS, PRESETS = Path("params.yaml"), Path("presets")
LOGS, RESUME = Path("data/logs"), Path("data/.resume")
STAGES = (
    *("download", "landmarks", "crop", "extract", "check"),
    *("pretrain", "train", "ablate", "evaluate", "best", "report"),
)

# What a command reads must be there; what it writes need not.
IN_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
IN_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
# Of the repository: who is not at its root is told so when the first file is not found.
OF_ROOT = click.Path(path_type=Path, file_okay=False)
OUT_FILE = click.Path(path_type=Path, dir_okay=False)
OUT_FOLDER = click.Path(path_type=Path, file_okay=False)
params_option = click.option(
    "--params", type=click.Path(path_type=Path), default=PARAMS, show_default=True, help="The file of numbers."
)


def stage(function: Callable[..., None]) -> click.Command:
    """Make a function ``main(params, <arguments>)`` a stage's command.

    Its docstring is the ``--help``. It gets the checked params first; ``--params`` says which file. A user's
    mistake ends it with one line and exit status 1; wall time goes to ``data/logs``, outside every output.
    """

    @functools.wraps(function)
    def run(params: Path, **arguments: object) -> None:
        with one_line_errors():
            function(config.load(params), **arguments)
        log_time()

    return click.command(context_settings={"help_option_names": ["-h", "--help"]})(params_option(run))


def console() -> Console:
    """As wide as the terminal; elsewhere as wide as the tables are."""
    from rich.console import Console  # the stages do without

    return Console(width=None if Console().is_terminal else 200)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a ``CfnsrError`` into one line on stderr and exit status 1."""
    try:
        yield
    except CfnsrError as error:
        raise click.ClickException(str(error)) from error


def source(params: config.Params, partial: Path) -> Source:
    """Where archives come from, as params.yaml says; what is being fetched lies in ``partial``."""
    from cfnsr.corpora.source import Source  # imports requests, which two stages need

    values = params.fetch
    local = Path(values.local) if values.local else None
    if local is not None and not local.is_dir():
        raise CfnsrError("params.yaml, fetch.local", f"{local} is no folder", "Name a folder, or leave it empty")
    return Source(values.base_url, local, partial, values.tries, values.wait_s, values.timeout_s)


def resume(cell: Path) -> Path:
    """Where a cell, or a folder of cells, has what its killed trainings go on from: outside every output."""
    whole = cell.resolve()
    here = whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole.relative_to(whole.anchor)
    return RESUME / here.with_suffix("")


_noted: dict[str, str] = {}


def note(**facts: str) -> None:
    """Have facts of this process stand beside its time, outside every output: the device, for instance."""
    _noted.update(facts)


def log_time() -> None:
    """Note how long this process has run, loading included, under the name DVC gave it; without DVC, nothing."""
    name = os.environ.get("DVC_STAGE")
    if name is None:
        return
    name = name.rpartition(":")[2]  # DVC puts the file first where it is not the root's
    seconds = time.time() - psutil.Process().create_time()
    with atomic_file(LOGS / f"{name}.json") as partial:
        partial.write_text(json.dumps({"stage": name, "wall_s": round(seconds, 2), **_noted}) + "\n", encoding="utf-8")


def times(corpus: str) -> dict[str, tuple[int, float]]:
    """For each stage of a corpus its last runs: how many, and their wall time together in seconds."""
    result: dict[str, tuple[int, float]] = {}
    for entry in _notes(corpus):
        stage_name = entry["stage"].partition("@")[0]
        runs, seconds = result.get(stage_name, (0, 0.0))
        result[stage_name] = (runs + 1, seconds + entry["wall_s"])
    return {name: result[name] for name in STAGES if name in result}


def facts(corpus: str, name: str) -> list[str]:
    """What the last runs of a corpus's stages have noted under a name, each once."""
    return sorted({entry[name] for entry in _notes(corpus) if name in entry})


def _notes(corpus: str) -> Iterator[dict[str, Any]]:
    for path in sorted(LOGS.glob("*.json")):
        entry = json.loads(path.read_text(encoding="utf-8"))
        if entry["stage"].partition("@")[2].split("-")[0] == corpus:
            yield entry
