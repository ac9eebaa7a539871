"""The exception for a user's mistake or a bad file; entry points print it without a traceback."""

from __future__ import annotations

# Characters that are not printable, and harmless.
_LAYOUT = "\n\t\N{NO-BREAK SPACE}\N{THIN SPACE}\N{NARROW NO-BREAK SPACE}"


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


def printable(text: str, keep: str = "") -> str:
    """Escape the characters that a terminal would interpret or cannot show; a file may have any name.

    Args:
        text: from a file, a header, a server.
        keep: characters that stay, for instance the newline of a text of several lines.
    """
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode("ascii") for char in text
    )


def on_page(value: object) -> object:
    """Escape control characters of a text that a template shows; what is marked as trusted stays as it is."""
    return printable(value, keep=_LAYOUT) if type(value) is str else value
