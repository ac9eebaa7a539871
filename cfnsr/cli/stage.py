"""What the scripts of the stages and the commands share: the decorator, errors in one line, the console."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from cfnsr.cli.options import params_option
from cfnsr.cli.timing import log_time
from cfnsr.config.read import ReadParams
from cfnsr.errors import CfnsrError, printable
from cfnsr.runtime import outputs, own_code

if TYPE_CHECKING:
    from rich.console import Console

HELP = {"help_option_names": ["-h", "--help"]}


def stage(function: Callable[..., None]) -> click.Command:
    """Make a function ``main(params, <arguments>)`` a stage's command.

    The function's docstring becomes the ``--help``. The function gets the checked parameters of the file that
    ``--params`` names. A user's mistake ends the command with one line and exit status 1; so does an edit of the params
    that it read or the code that it loaded, before an output takes its place. The wall time is written to
    ``data/logs``.
    """

    @functools.wraps(function)
    def run(params: Path, **arguments: object) -> None:
        with one_line_errors():
            read = ReadParams(params)
            with outputs.checked(read.check_unchanged), outputs.checked(own_code.check_unchanged):
                function(read.params, **arguments)
        log_time()

    return click.command(context_settings=HELP)(params_option(run))


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a ``CfnsrError`` into one line on stderr and exit status 1."""
    try:
        yield
    except CfnsrError as error:
        raise click.ClickException(str(error)) from error


def echo(text: str, *, file: IO[str] | None = None, err: bool = False) -> None:
    """Print a text that may hold what a file says: nothing in it moves the cursor or changes colours."""
    click.echo(printable(text, keep="\n"), file=file, err=err)


def console() -> Console:
    """Return a console as wide as the terminal; without a terminal, wide enough for every table.

    It interprets nothing in a text: tables show what files say.
    """
    from rich.console import Console  # the stages do without

    from cfnsr.cli.plain_text import PlainText

    terminal = Console(width=None if Console().is_terminal else 200, markup=False, emoji=False)
    terminal.push_render_hook(PlainText())
    return terminal
