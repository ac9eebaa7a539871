"""What becomes of a clip that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from cfnsr.errors import CfnsrError, printable


class BadClips:
    """Stops the run at the first bad clip, or notes it and goes on.

    Args:
        policy: ``fail`` or ``skip``, as ``on_bad_clip`` in params.yaml says.

    Attributes:
        skipped: by clip, why it cannot be used.
    """

    def __init__(self, policy: str) -> None:
        self._fail = policy == "fail"
        self.skipped: dict[str, str] = {}

    @contextmanager
    def guard(self, clip: str) -> Iterator[None]:
        """Around the work on one clip: its error is the run's, or is noted."""
        try:
            yield
        except CfnsrError as error:
            self.meet(clip, error)

    def meet(self, clip: str, error: CfnsrError) -> None:
        """Raise a clip's error, or note it."""
        self.must_be_whole(error)
        self.skipped[printable(clip)] = error.problem

    def must_be_whole(self, error: CfnsrError) -> None:
        """Raise an error that concerns no clip that is there, unless bad clips may be skipped."""
        if self._fail:
            raise CfnsrError(error.where, error.problem, f"{error.remedy}; or set on_bad_clip: skip") from error

    def tell(self) -> None:
        """Say on stderr what was skipped."""
        for clip, reason in self.skipped.items():
            click.echo(f"skipped {clip}: {reason}", err=True)
