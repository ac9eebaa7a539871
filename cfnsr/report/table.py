"""The table of results, as it reads in the terminal and on a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from cfnsr.report.rows import Difference, ResultRow

STUDIO_NOTE = (
    "Studio is synthetic: one animated portrait and a speech synthesiser. Its figures show that the "
    "machinery works; they say nothing about recognising emotions."
)


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        name: its head.
        told: what it means.
        value: what a row is sorted by; none where the row has no such figure.
        text: what it reads, in the terminal and on every page alike.
        aside: whether it is no result, and stands in grey.
        brief: whether it stands in a narrow terminal too.
    """

    name: str
    told: str
    value: Callable[[ResultRow], float | None]
    text: Callable[[ResultRow], str]
    aside: bool = False
    brief: bool = False


def percent(share: float | None, sign: str = "") -> str:
    """A share in %, to a tenth; a dash where there is none."""
    return "–" if share is None else f"{100 * share:{sign}.1f}"


def _share(name: str, field: str, told: str, *, sign: str = "", aside: bool = False, brief: bool = False) -> Column:
    value = attrgetter(field)
    return Column(name, told, value, lambda line: percent(value(line), sign), aside, brief)


COLUMNS = (
    Column("System", "one row of the run", lambda line: None, lambda line: _named(line), brief=True),
    _share("Accuracy", "accuracy", "right clips among all", brief=True),
    _share("± folds", "deviation", "standard deviation between folds"),
    _share("± seeds", "seed_deviation", "standard deviation between seeds of one fold"),
    Column(
        "Interval",
        "of the accuracy, over speakers",
        lambda line: line.low,
        lambda line: f"{percent(line.low)}–{percent(line.high)}",
        brief=True,
    ),
    _share("UAR", "uar", "mean of the emotions' recalls"),
    _share("F1", "f1", "mean of the emotions' F1"),
    _share("Top-2", "top2", "true emotion among the two most probable"),
    _share("ECE", "ece", "expected calibration error"),
    _share("ECE scaled", "ece_scaled", "the same at the validation speakers' temperature"),
    _share("Last epoch", "last_epoch", "accuracy after the last epoch"),
    _share("Optimistic", "best_test_epoch", "accuracy at the best test epoch; no result", aside=True, brief=True),
    _share("Gap", "gap", "how far that flatters", sign="+", aside=True, brief=True),
    _share("No face", "without_video", "accuracy without the face"),
    _share("No voice", "without_audio", "accuracy without the voice"),
    Column("Parameters", "trainable and not", lambda line: line.parameters, lambda line: f"{line.parameters:,}"),
    _share("Published", "published_accuracy", "accuracy published on RAVDESS, by another protocol", aside=True),
)


def _named(line: ResultRow) -> str:
    return line.name + (", imported" if line.imported else ", optimistic" if line.published else "")


def cells_of(line: ResultRow) -> list[str]:
    """One row's texts, column by column."""
    return [column.text(line) for column in COLUMNS]


def title(rows: list[ResultRow], corpus: str) -> str:
    """What the table is of."""
    return f"{corpus}: {rows[0].clips} clips, {rows[0].speakers} speakers, {rows[0].folds} folds"


def footnotes(rows: list[ResultRow], differences: list[Difference], corpus: str) -> Iterator[str]:
    """What a reader must know beside the figures."""
    held_out = any(line.protocol == "held_out" for line in rows)
    chosen = ", at the epoch that the validation speakers chose (held_out)" if held_out else ""
    coverage = [line.coverage for line in rows]
    yield f"Accuracy, UAR, F1 and top-2 in % on test speakers{chosen}."
    yield (
        f"Interval: {rows[0].level:.0%} over speakers (Student's t). With speakers as different as these it holds the "
        f"truth in {_range(coverage)} of simulated tables."
    )
    yield (
        "± folds, ± seeds: standard deviations between folds, and between seeds of one fold. With one seed the former "
        "holds both."
    )
    yield (
        "ECE: expected calibration error; scaled, at the temperature at which the validation speakers' predictions are "
        "most likely."
    )
    yield (
        "Optimistic: the best test epoch of the same run, as the published code reports it. It is not a result; "
        "Gap says how far it flatters. A system that trains nothing joins both modalities' best test epochs."
    )
    if any(line.published for line in rows):
        yield (
            "Published protocol (@published): nobody validates, and the test speakers choose the epoch. All figures of "
            "these rows are optimistic; Gap is what they have beyond the row held out, which learns from fewer."
        )
    yield (
        "No face, no voice: the same networks, given the training clips' mean features in place of that modality, or a "
        "uniform prediction where two predictions are joined. A dash: it reads one modality alone."
    )
    if any(line.published_accuracy is not None for line in rows):
        yield (
            "Published: on RAVDESS, at epochs that the test speakers chose; not to be compared with what is beside it."
        )
    yield from _differing(differences)
    yield from _provenance(rows)
    yield f"Seed {rows[0].seeds}, data {rows[0].data}."
    if rows[0].skipped:
        yield f"{rows[0].skipped} more clips could not be used and were skipped; report.md says which and why."
    if corpus == "studio":
        yield STUDIO_NOTE


def _differing(differences: list[Difference]) -> Iterator[str]:
    if not differences:
        return
    clear = sorted((one for one in differences if one.p_holm <= 0.05), key=lambda one: one.p_holm)
    told = "; ".join(
        f"{one.one} {'above' if one.difference > 0 else 'below'} {one.other} by {100 * abs(one.difference):.1f} "
        f"(p {one.p_holm:.3f})"
        for one in clear
    )
    yield (
        f"Of {len(differences)} pairs, a permutation test by speaker with Holm's correction tells apart at 5 %: "
        f"{told or 'none'}."
    )


def _provenance(rows: list[ResultRow]) -> Iterator[str]:
    """What kind of rows these are, where they are not all alike."""
    for reads, told in (("audio", "Voice alone"), ("video", "Face alone")):
        names = [line.name for line in rows if line.reads == reads]
        if names:
            yield f"{told}: {', '.join(names)}."
    for line in rows:
        if line.reconstructed:
            yield f"{line.name} is a reconstruction: {line.reconstructed}."
    imported = [line for line in rows if line.imported]
    if imported:
        yield (
            "Imported, not trained here: a fold's file must not have been trained on the speakers it is tested on, nor "
            "its epoch chosen by them, which cannot be checked here. The published files' epochs were chosen on their "
            "test folds: their figures are optimistic."
        )
    for line in imported:
        yield f"{line.name}: {line.imported}."


def markdown(rows: list[ResultRow], differences: list[Difference], corpus: str, skipped: Mapping[str, str]) -> str:
    """The table as a Markdown page.

    Args:
        rows: the systems.
        differences: between them.
        corpus: what they were measured on.
        skipped: by clip, why it could not be used.
    """
    lines = [
        f"# {title(rows, corpus)}",
        "",
        f"| {' | '.join(column.name for column in COLUMNS)} |",
        f"|---|{'---:|' * (len(COLUMNS) - 1)}",
    ]
    lines += [f"| {' | '.join(cells_of(line))} |" for line in rows]
    for note in footnotes(rows, differences, corpus):
        lines += ["", note]
    if differences:
        lines += ["", "| One | Other | Difference | p | p (Holm) |", "|---|---|---:|---:|---:|"]
        lines += [
            f"| {one.one} | {one.other} | {percent(one.difference, '+')} | {one.p:.4f} | {one.p_holm:.4f} |"
            for one in differences
        ]
    if skipped:
        lines += ["", "| Skipped clip | Why |", "|---|---|"]
        lines += [f"| {_plain(clip)} | {_plain(reason)} |" for clip, reason in skipped.items()]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text of a file's own making, without what Markdown or HTML would take for more than text."""
    return "".join(f"&#{ord(one)};" if one in "&<>|`*_[]\\~" else one for one in text)


def _range(shares: list[float]) -> str:
    low, high = f"{min(shares):.0%}", f"{max(shares):.0%}"
    return low if low == high else f"{low[:-1]}–{high}"
