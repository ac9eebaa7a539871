"""The exception for a user's mistake or a bad file; entry points print it without a traceback."""

from __future__ import annotations


class CfnsrError(Exception):
    """An error that the user can correct: it says where it is, what is wrong and what to do.

    Args:
        where: file, field or stage that the error is in.
        problem: what is wrong with it, in one clause.
        remedy: what the user can do about it.
    """

    def __init__(self, where: object, problem: str, remedy: str) -> None:
        self.where, self.problem, self.remedy = printable(str(where)), printable(" ".join(problem.split())), remedy
        super().__init__(f"{self.where}: {self.problem}. {remedy}")

    def __reduce__(self) -> tuple[type[CfnsrError], tuple[str, str, str]]:
        """Return what pickle needs to rebuild the error when it comes from another process."""
        return type(self), (self.where, self.problem, self.remedy)


def printable(text: str) -> str:
    """Escape the characters that a terminal would interpret or cannot show; a file may have any name."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
