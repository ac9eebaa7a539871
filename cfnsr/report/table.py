"""The table of results: its columns and texts, the same in the terminal, in Markdown and on the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter

from cfnsr.report.rows import ResultRow


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
    Column(
        "Frozen",
        "of these, the weights of a frozen encoder, in millions",
        lambda row: row.frozen_parameters,
        lambda row: f"{row.frozen_parameters / 1e6:.1f} M" if row.frozen_parameters else "–",
    ),
    Column("Seen", "whether frozen weights have seen this corpus", lambda row: None, lambda row: row.seen),
    _share("Published", "published_accuracy", "accuracy published on RAVDESS, by another protocol", aside=True),
)


def _name(row: ResultRow) -> str:
    marks = {"imported": row.imported, "optimistic": row.test_selected, "has seen this corpus": row.seen == "yes"}
    return ", ".join([row.name, *(mark for mark, is_so in marks.items() if is_so)])


def columns_of(rows: list[ResultRow]) -> list[Column]:
    """Return the columns of a table.

    Left out: those of a missing modality where all rows read one, and those of frozen encoders where there is none.
    """
    one_modality, frozen = bool(alone(rows)), any(row.frozen_parameters or row.seen != "no" for row in rows)
    left_out = {"No face": one_modality, "No voice": one_modality, "Frozen": not frozen, "Seen": not frozen}
    return [column for column in COLUMNS if not left_out.get(column.name)]


def alone(rows: list[ResultRow]) -> str:
    """Say which modality alone all rows read; empty if they differ."""
    reads = {row.reads for row in rows}
    return {"audio": "sound only", "video": "pictures only"}.get(reads.pop(), "") if len(reads) == 1 else ""


def cells_of(row: ResultRow, columns: Iterable[Column] = COLUMNS) -> list[str]:
    """Return a row's texts, column by column."""
    return [column.text(row) for column in columns]


def title(rows: list[ResultRow], corpus: str) -> str:
    """Name the table: corpus, its modality if it is one alone, clips, speakers, folds."""
    only = alone(rows)
    return f"{corpus}{only and f', {only}'}: {rows[0].clips} clips, {rows[0].speakers} speakers, {rows[0].folds} folds"
