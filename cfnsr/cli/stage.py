"""What every stage's script and every command share: the decorator, errors in one line, the console."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cfnsr import config
from cfnsr.cli.options import params_option
from cfnsr.cli.timing import log_time
from cfnsr.errors import CfnsrError

if TYPE_CHECKING:
    from rich.console import Console

    from cfnsr.corpora.download import Source

HELP = {"help_option_names": ["-h", "--help"]}
RESUME = Path("data/.resume")


def stage(function: Callable[..., None]) -> click.Command:
    """Make a function ``main(params, <arguments>)`` a stage's command.

    The function's docstring becomes the ``--help``. The function gets the checked parameters of the file that
    ``--params`` names. A user's mistake ends the command with one line and exit status 1. The wall time is written
    to ``data/logs``.
    """

    @functools.wraps(function)
    def run(params: Path, **arguments: object) -> None:
        with one_line_errors():
            function(config.load(params), **arguments)
        log_time()

    return click.command(context_settings=HELP)(params_option(run))


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a ``CfnsrError`` into one line on stderr and exit status 1."""
    try:
        yield
    except CfnsrError as error:
        raise click.ClickException(str(error)) from error


def console() -> Console:
    """Return a console as wide as the terminal; without a terminal, wide enough for every table."""
    from rich.console import Console  # the stages do without

    return Console(width=None if Console().is_terminal else 240)


def source(params: config.Params, partial: Path) -> Source:
    """Return where archives come from, as params.yaml says; unfinished downloads lie in ``partial``."""
    from cfnsr.corpora.download import Source  # imports requests, which two stages need

    values = params.fetch
    local = Path(values.local) if values.local else None
    if local is not None and not local.is_dir():
        raise CfnsrError("params.yaml, fetch.local", f"{local} is no folder", "Name a folder, or leave it empty")
    return Source(values.base_url, local, partial, values.tries, values.wait_s, values.timeout_s)


def resume(output: Path) -> Path:
    """Return where a killed training of this output keeps what it resumes from: outside every output."""
    whole = output.resolve()
    here = whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole.relative_to(whole.anchor)
    return RESUME / here.with_suffix("")
