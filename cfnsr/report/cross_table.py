"""The table of classifiers that were trained on other corpora: its columns, texts and notes."""

from __future__ import annotations

from collections.abc import Iterator

from cfnsr.report.cross import CrossRow
from cfnsr.report.markdown import escape, line
from cfnsr.report.table import percent

TITLE = "Trained on other corpora"
HEADERS = (
    ("Encoder", "a section of `features`"),
    ("Trained on", "the other corpora"),
    ("Standardised by", "whose mean and deviation"),
    ("Emotions", "those that the corpora share"),
    ("Chance", "one over the number of emotions, in %"),
    ("Clips", "tested"),
    ("Accuracy", "clips predicted correctly, in %"),
    ("Interval", "confidence interval of the accuracy, over the speakers of the corpus tested"),
    ("UAR", "mean of the emotions' recalls, in %"),
    ("Held out", "accuracy of the encoder's held-out row on the same clips and emotions, in %"),
    ("Held-out interval", "confidence interval of the held-out accuracy"),
    ("Held-out UAR", "mean of the held-out recalls, in %"),
)
WORDS = 4  # the first columns hold words, the others figures
WAYS = {"training": "training clips", "target": "each corpus itself (transductive)"}


def cells_of(row: CrossRow) -> list[str]:
    """Return a row's texts, in the order of ``HEADERS``."""
    return [
        row.encoder + ", has seen this corpus" * (row.seen == "yes"),
        row.trained_on,
        WAYS[row.standardise],
        row.emotions,
        percent(row.chance),
        str(row.clips),
        percent(row.accuracy),
        _range(row.ci_low, row.ci_high),
        percent(row.uar),
        percent(row.held_out),
        _range(row.held_out_ci_low, row.held_out_ci_high),
        percent(row.held_out_uar),
    ]


def values_of(row: CrossRow) -> list[float | None]:
    """Return the figures that rows are sorted by, in the order of ``HEADERS``."""
    words: list[float | None] = [None] * WORDS
    own = [row.chance, row.clips, row.accuracy, row.ci_low, row.uar]
    return [*words, *own, row.held_out, row.held_out_ci_low, row.held_out_uar]


def notes(rows: list[CrossRow], corpus: str) -> Iterator[str]:
    """Explain the figures: what a reader must know to use them."""
    if not rows:
        return
    tested = sorted({f"{row.clips} of {row.clips + row.not_tested}" for row in rows})
    yield (
        f"Tested on the clips of {corpus} whose emotion the training corpora have too ({', '.join(tested)}); emotions "
        "by their common names (cross.labels). Its labels have no part in the training: every fourth speaker of the "
        "training corpora chooses layer and strength. These rows are not ranked, and not compared with others."
    )
    yield (
        "Held out: the same encoder's held-out row on the same clips, its probabilities restricted to the same "
        f"emotions. Intervals: {100 * rows[0].ci_level:.0f} % confidence over the speakers of {corpus}."
    )
    if any(row.standardise == "target" for row in rows):
        yield (
            "Standardised by each corpus itself: by the mean and deviation of its own clips, without labels. All clips "
            f"of {corpus} that are tested must be known beforehand (transductive)."
        )
    seen = {seen: sorted({row.encoder for row in rows if row.seen == seen}) for seen in ("yes", "unknown")}
    if seen["yes"]:
        yield f"Frozen weights that have seen {corpus}: {', '.join(seen['yes'])}. The figures are worth nothing."
    if seen["unknown"]:
        yield f"Whether their frozen weights have seen {corpus} is not known: {', '.join(seen['unknown'])}."


def markdown(rows: list[CrossRow], corpus: str) -> str:
    """Write the table as a section of a Markdown page; empty without rows."""
    if not rows:
        return ""
    lines = ["", f"## {TITLE}", "", line(name for name, _ in HEADERS)]
    lines += [f"|{'---|' * WORDS}{'---:|' * (len(HEADERS) - WORDS)}", *(line(cells_of(row)) for row in rows)]
    for note in notes(rows, corpus):
        lines += ["", escape(note)]
    return "\n".join(lines) + "\n"


def _range(low: float | None, high: float | None) -> str:
    return "–" if low is None else f"{percent(low)}–{percent(high)}"
