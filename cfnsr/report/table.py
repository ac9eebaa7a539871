"""The table of results: its columns, texts and footnotes, the same in the terminal, in Markdown and on the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from cfnsr.report.rows import Difference, ResultRow

STUDIO_NOTE = (
    "Studio is synthetic: one animated portrait and a speech synthesiser. These figures show that the software works; "
    "they say nothing about recognising emotions."
)


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        name: its header.
        meaning: what it holds.
        value: the figure that rows are sorted by; None if the row has no such figure.
        text: the text of a row's cell.
        aside: whether its figures are not results; it is shown in grey.
        brief: whether it is shown where there is no room for all columns: in a narrow terminal, and on the page at
            first.
    """

    name: str
    meaning: str
    value: Callable[[ResultRow], float | None]
    text: Callable[[ResultRow], str]
    aside: bool = False
    brief: bool = False


def percent(share: float | None, sign: str = "") -> str:
    """Format a share in % with one decimal; None becomes a dash."""
    return "–" if share is None else f"{100 * share:{sign}.1f}"


def _share(name: str, field: str, meaning: str, *, sign: str = "", aside: bool = False, brief: bool = False) -> Column:
    value: Callable[[ResultRow], float | None] = attrgetter(field)
    return Column(name, meaning, value, lambda row: percent(value(row), sign), aside, brief)


COLUMNS = (
    Column("System", "a system, or one modality alone", lambda row: None, lambda row: _name(row), brief=True),
    _share("Accuracy", "accuracy", "clips predicted correctly, in %", brief=True),
    Column(
        "Interval",
        "confidence interval of the accuracy, over speakers",
        lambda row: row.ci_low,
        lambda row: f"{percent(row.ci_low)}–{percent(row.ci_high)}",
        brief=True,
    ),
    Column(
        "p (best)",
        "p-value of the difference to the best system, corrected for all pairs (Holm)",
        lambda row: row.p_best,
        lambda row: "–" if row.p_best is None else f"{row.p_best:.3f}",
        brief=True,
    ),
    _share("UAR", "uar", "mean of the emotions' recalls, in %", brief=True),
    _share(
        "Gap", "gap", "accuracy gained by choosing the epoch on the test speakers", sign="+", aside=True, brief=True
    ),
    _share(
        "Best test epoch",
        "best_test_epoch",
        "accuracy at the epoch that is best on the test speakers: optimistic",
        aside=True,
    ),
    _share("Last epoch", "last_epoch", "accuracy after the last epoch"),
    _share("± folds", "std_folds", "standard deviation of the accuracy between folds"),
    _share("± seeds", "std_seeds", "standard deviation of the accuracy between seeds of one fold"),
    _share("F1", "f1", "mean of the emotions' F1, in %"),
    _share("Top-2", "top2", "clips whose emotion is among the two most probable, in %"),
    _share("ECE", "ece", "expected calibration error"),
    _share("ECE scaled", "ece_scaled", "expected calibration error after temperature scaling"),
    _share("No face", "without_video", "accuracy without the face"),
    _share("No voice", "without_audio", "accuracy without the voice"),
    Column("Parameters", "number of weights", lambda row: row.parameters, lambda row: f"{row.parameters:,}"),
    _share("Published", "published_accuracy", "accuracy published on RAVDESS, by another protocol", aside=True),
)


def _name(row: ResultRow) -> str:
    marks = {"imported": row.imported, "optimistic": row.test_selected, "has seen this corpus": row.seen == "yes"}
    return ", ".join([row.name, *(mark for mark, is_so in marks.items() if is_so)])


def columns_of(rows: list[ResultRow]) -> list[Column]:
    """Return the columns of a table: without those of a missing modality where every row reads the same one."""
    return [column for column in COLUMNS if not (_alone(rows) and column.name in ("No face", "No voice"))]


def _alone(rows: list[ResultRow]) -> str:
    """Say which modality alone all rows read; empty if they differ."""
    reads = {row.reads for row in rows}
    return {"audio": "sound only", "video": "pictures only"}.get(reads.pop(), "") if len(reads) == 1 else ""


def cells_of(row: ResultRow, columns: Iterable[Column] = COLUMNS) -> list[str]:
    """Return a row's texts, column by column."""
    return [column.text(row) for column in columns]


def title(rows: list[ResultRow], corpus: str) -> str:
    """Name the table: corpus, its modality if it is one alone, clips, speakers, folds."""
    alone = _alone(rows)
    return (
        f"{corpus}{alone and f', {alone}'}: {rows[0].clips} clips, {rows[0].speakers} speakers, {rows[0].folds} folds"
    )


def footnotes(rows: list[ResultRow], differences: list[Difference], corpus: str) -> Iterator[str]:
    """Explain the figures: what a reader must know to use them."""
    held_out = any(row.protocol == "held_out" for row in rows)
    epoch = ", at the epoch chosen on the validation speakers (held_out)" if held_out else ""
    yield f"Accuracy, UAR, F1 and top-2: in %, on test speakers{epoch}."
    yield (
        f"Interval: {100 * rows[0].ci_level:.0f} % confidence over speakers (Student's t). In simulations with "
        f"speakers like these it contains the true accuracy in {_range([row.coverage for row in rows])} of cases."
    )
    yield from _differing(differences)
    yield (
        "Best test epoch: accuracy if the test speakers choose the epoch, as in the published code. It is optimistic, "
        "not a result; Gap is how much it exceeds the accuracy. For a system that trains nothing, both modalities' "
        "best test epochs are combined."
    )
    if any(row.test_selected for row in rows):
        yield (
            "Rows @test_selected: there are no validation speakers, and the test speakers choose the epoch. All their "
            "figures are optimistic; Gap is how much they exceed the held-out row, which trains on fewer speakers."
        )
    yield (
        "± folds, ± seeds: standard deviation between folds, and between seeds of one fold. With one seed ± folds "
        "contains both."
    )
    yield (
        "ECE: expected calibration error; scaled: after temperature scaling, with the temperature fitted on the "
        "validation speakers."
    )
    if not _alone(rows):
        yield (
            "No face, no voice: the same networks with that modality's features replaced by their mean over the "
            "training clips, or with a uniform prediction where two predictions are combined. A dash: the system reads "
            "one modality."
        )
    if any(row.published_accuracy is not None for row in rows):
        yield "Published: on RAVDESS, at epochs chosen on the test speakers. Do not compare it with the other columns."
    yield from _kinds(rows)
    yield f"Seed {rows[0].seeds}, data {rows[0].data}."
    if rows[0].skipped:
        yield f"{rows[0].skipped} more clips could not be used and were skipped; report.md lists them with the reason."
    if corpus == "studio":
        yield STUDIO_NOTE


def _differing(differences: list[Difference]) -> Iterator[str]:
    if not differences:
        return
    clear = sorted((pair for pair in differences if pair.p_holm <= 0.05), key=lambda pair: pair.p_holm)
    texts = [
        f"{pair.system} {'above' if pair.difference > 0 else 'below'} {pair.other} by "
        f"{100 * abs(pair.difference):.1f} (p {pair.p_holm:.3f})"
        for pair in clear
    ]
    yield (
        "p (best): p-value of the difference to the best system, from a permutation test over speakers with Holm's "
        f"correction for all {len(differences)} pairs. Pairs that differ at 5 %: {'; '.join(texts) or 'none'}."
    )


def _kinds(rows: list[ResultRow]) -> Iterator[str]:
    """Say which rows read one modality, are reconstructions, or are imported."""
    for reads, text in (("audio", "Voice alone"), ("video", "Face alone")):
        names = [row.name for row in rows if row.reads == reads]
        if names:
            yield f"{text}: {', '.join(names)}."
    for row in rows:
        if row.reconstructed:
            yield f"{row.name} is a reconstruction: {row.reconstructed}."
    seen = {seen: [row.name for row in rows if row.seen == seen] for seen in ("yes", "unknown")}
    if seen["yes"]:
        yield (
            f"Frozen weights that have seen this corpus, so that the figures are worth nothing: "
            f"{', '.join(seen['yes'])}. They are not compared with other rows."
        )
    if seen["unknown"]:
        yield f"Whether their frozen weights have seen this corpus is not known: {', '.join(seen['unknown'])}."
    imported = [row for row in rows if row.imported]
    if imported:
        yield (
            "Imported, not trained here: these figures are right only if a fold's file was neither trained on that "
            "fold's test speakers nor its epoch chosen on them, which cannot be checked here. The epochs of the "
            "published files were chosen on their test folds: their figures are optimistic."
        )
    for row in imported:
        yield f"{row.name}: {row.imported}."


def markdown(rows: list[ResultRow], differences: list[Difference], corpus: str, skipped: Mapping[str, str]) -> str:
    """Write the table as a Markdown page.

    Args:
        rows: of the table.
        differences: between the rows.
        corpus: its name.
        skipped: by clip, why it was skipped.
    """
    columns = columns_of(rows)
    lines = [f"# {title(rows, corpus)}", "", _line(column.name for column in columns)]
    lines += [f"|---|{'---:|' * (len(columns) - 1)}", *(_line(cells_of(row, columns)) for row in rows)]
    for note in footnotes(rows, differences, corpus):
        lines += ["", note]
    if differences:
        lines += ["", _line(["System", "Other system", "Difference", "p", "p (Holm)"]), "|---|---|---:|---:|---:|"]
        lines += [
            _line([pair.system, pair.other, percent(pair.difference, "+"), f"{pair.p:.4f}", f"{pair.p_holm:.4f}"])
            for pair in differences
        ]
    if skipped:
        lines += ["", _line(["Skipped clip", "Reason"]), "|---|---|"]
        lines += [_line([_escape(clip), _escape(reason)]) for clip, reason in skipped.items()]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Replace the characters that Markdown or HTML would interpret: the text comes from files."""
    return "".join(f"&#{ord(character)};" if character in "&<>|`*_[]\\~" else character for character in text)


def _range(shares: list[float]) -> str:
    low, high = f"{100 * min(shares):.0f}", f"{100 * max(shares):.0f}"
    return f"{low} %" if low == high else f"{low}–{high} %"
