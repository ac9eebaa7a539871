"""The one exception that a user's mistake or a bad file raises; entry points print it without a traceback."""

from __future__ import annotations


class CfnsrError(Exception):
    """Something the user can mend: says where it is, what is wrong and what to do.

    Args:
        where: file, field or stage in which the fault lies.
        problem: what is wrong with it, in one clause.
        remedy: what the user can do about it.
    """

    def __init__(self, where: object, problem: str, remedy: str) -> None:
        self.where, self.problem, self.remedy = printable(str(where)), printable(" ".join(problem.split())), remedy
        super().__init__(f"{self.where}: {self.problem}. {remedy}")

    def __reduce__(self) -> tuple[type[CfnsrError], tuple[str, str, str]]:
        """What pickle builds it again from, where a clip is worked on in another process."""
        return type(self), (self.where, self.problem, self.remedy)


def printable(text: str) -> str:
    """The text with what a terminal would obey, or cannot show, spelt out: a file may have any name."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)
