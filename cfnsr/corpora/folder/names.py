"""Make names of letters, digits and underscores from the words that people write, and find words that are too alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from cfnsr.corpora.folder.problems import Problems

_LONGEST = 59  # letters: params.yaml takes 64, and `fold_` stands before the name of a fold


def safe(text: str) -> str:
    """Return a name of ASCII letters, digits and underscores; letters of other scripts by their Unicode names.

    Example: ``Mrs. Green`` gives ``Mrs_Green``, ``Zoë`` gives ``Zoe`` and ``Анна``, letter by letter, ``aenena``.
    """
    if re.fullmatch(r"[A-Za-z0-9_]+", text):
        return text
    letters = "".join(map(_ascii, unicodedata.normalize("NFKC", text)))
    return re.sub(r"_+", "_", letters).strip("_")


def _ascii(char: str) -> str:
    """Return a character as ASCII: a letter's own name, nothing for an accent, an underscore for other signs."""
    if char.isascii():
        return char if char.isalnum() else "_"
    name, category = unicodedata.name(char, ""), unicodedata.category(char)
    if name.startswith("COMBINING"):
        return ""
    if category[0] not in "LMN":
        return "_"
    own = re.split(r"LETTER |SYLLABLE |SIGN |IDEOGRAPH-|DIGIT ", name)[-1].split(" WITH ")[0]
    own = re.sub(r"[^A-Za-z0-9]", "", own)
    return own if name.startswith("LATIN CAPITAL") else own.lower()


def _alike(text: str) -> str:
    """Return what is left without case, accents, separators and leading zeros: equal for words that mean one."""
    text = re.sub(r"(?<=[A-Za-z])[\u0300-\u036f]+", "", unicodedata.normalize("NFKD", text).casefold())
    kinds = "".join("d" if char.isdigit() else "w" if unicodedata.category(char)[0] in "LM" else " " for char in text)
    runs = [text[run.start() : run.end()] for run in re.finditer(r"d+|w+", kinds)]
    return " ".join(run.lstrip("0") or "0" if run[0].isdigit() else run for run in runs)


def safe_names(texts: Iterable[str], column: str, remedy: str, problems: Problems) -> dict[str, str]:
    """Return the safe name of each word.

    Args:
        texts: cells of a column; empty ones have no name.
        column: its name.
        remedy: for words that are too alike.
        problems: words that differ by a hair, become one name, are too long, or that no name can be made of.
    """
    names: dict[str, str] = {}
    first: dict[str, str] = {}  # by what must be unique: the word that has it
    for text in sorted({*texts} - {""}):
        name = names[text] = safe(text)
        if not name:
            problems.add(f"{column} without a letter or digit", repr(text), "Give it another name")
            continue
        if len(name) > _LONGEST and column != "group":  # a group names no file
            problems.add(f"{column}s of more than {_LONGEST} letters", repr(f"{text[:20]}..."), "Give shorter names")
        keys = {f"alike {_alike(text)}": "differ by a hair", f"name {name.casefold()}": f"become one name, {name}"}
        clash = next((key for key in keys if key in first), None)
        if clash is not None:
            problems.add(f"{column}s that {keys[clash]}", f"{first[clash]!r} and {text!r}", remedy)
        for key in keys:
            first.setdefault(key, text)
    return names


def column_name(cell: str) -> str:
    """Return a column's name in lower case, without the spaces and the marks without width that programs leave."""
    return "".join(char for char in cell if unicodedata.category(char) != "Cf").strip().casefold()
