"""What the scripts of the stages and the commands share: the decorator, errors in one line, the console."""

from __future__ import annotations

import errno
import functools
import gc
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

# By the operating system's error: the problem, and what the user can do.
_REFUSALS = {
    errno.ENOSPC: ("the disk is full", "Free some space and run it again"),
    errno.EDQUOT: ("your share of the disk is used up", "Free some space and run it again"),
    errno.EFBIG: ("is larger than a file may be here", "Raise the limit (`ulimit -f`) and run it again"),
    errno.EROFS: ("is on a disk that is mounted read-only", "Mount it writable, or work in a copy of the repository"),
    errno.EACCES: ("you may not read or write it", "Give yourself the right (`ls -ld` shows owner and mode)"),
    errno.EPERM: ("you may not change it", "Give yourself the right (`ls -ld`, `lsattr -d` show why)"),
    errno.ENOTDIR: ("a part of its path is a file", "Move that file away"),
    errno.EISDIR: ("is a folder, where a file belongs", "Move it away"),
    errno.ELOOP: ("is a link that leads nowhere", "Remove the link"),
    errno.EIO: ("the disk reports an error", "Check the disk, then run `cfnsr check --deep`"),
    errno.ENAMETOOLONG: ("is too long a name", "Give a shorter name: a disk takes 255 bytes"),
}


def stage(function: Callable[..., None]) -> click.Command:
    """Make a function ``main(params, <arguments>)`` a stage's command.

    The function's docstring becomes the ``--help``. The function gets the checked parameters of the file that
    ``--params`` names. A user's mistake ends the command with one line and exit status 1; so does an edit of the params
    that it read or the code that it loaded, before an output takes its place. The wall time is written to
    ``data/logs``.
    """
    gc.enable()  # see stages/__init__.py

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
    """Turn a ``CfnsrError``, or the disk's refusal, into one line on stderr and exit status 1."""
    try:
        yield
    except CfnsrError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        refusal = CfnsrError(error.filename or Path.cwd(), *_REFUSALS[error.errno])
        raise click.ClickException(str(refusal)) from error


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
