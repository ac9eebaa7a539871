"""Handle clips that cannot be used: stop the run, or skip them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from cfnsr.errors import CfnsrError, printable


class BadClips:
    """Stop the run at the first bad clip, or record and skip bad clips.

    Args:
        policy: ``fail`` or ``skip``, from ``on_bad_clip`` in params.yaml.
        fetching: the command that fetches the clips again, for errors; empty if they are of several speakers.

    Attributes:
        skipped: by clip id, why it cannot be used.
    """

    def __init__(self, policy: str, fetching: str = "") -> None:
        self._fail, self._fetching = policy == "fail", fetching
        self.skipped: dict[str, str] = {}

    @contextmanager
    def guard(self, clip: str) -> Iterator[None]:
        """Handle the error that work on one clip raises."""
        try:
            yield
        except CfnsrError as error:
            self.handle(clip, error)

    def handle(self, clip: str, error: CfnsrError) -> None:
        """Raise the error of a clip, or record it.

        Raises:
            CfnsrError: the policy is ``fail``.
        """
        self.raise_unless_skipping(error)
        self.skipped[printable(clip)] = error.problem

    def raise_unless_skipping(self, error: CfnsrError) -> None:
        """Raise an error about clips, for instance missing ones, if the policy is ``fail``.

        Raises:
            CfnsrError: the policy is ``fail``.
        """
        if self._fail:
            command = f" ({self._fetching} fetches the speaker's clips)" if self._fetching else ""
            remedy = f"{error.remedy}{command}; or set on_bad_clip: skip"
            raise CfnsrError(error.where, error.problem, remedy) from error

    def report(self) -> None:
        """Print on stderr which clips were skipped, and why."""
        for clip, reason in self.skipped.items():
            click.echo(printable(f"skipped {clip}: {reason}"), err=True)
