"""The table of results: a row a system, and how it reads in the terminal and on a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

STUDIO_NOTE = (
    "Studio is synthetic: one animated portrait and a speech synthesiser. Its figures show that the "
    "machinery works; they say nothing about recognising emotions."
)


@dataclass(frozen=True)
class Row:
    """One system's line of the table; shares from 0 to 1.

    Attributes:
        name: the system, or the modality alone.
        accuracy, uar, f1, top2: on all test clips, at the epoch the validation speakers chose.
        deviation: standard deviation of the folds' accuracies.
        low, high: interval of the accuracy over speakers.
        last: accuracy at the last epoch; none for imported networks, of which one epoch is known.
        optimistic: accuracy at each fold's best test epoch; not a result; likewise.
        without_video, without_audio: accuracy without the face, without the voice; none where only one is read.
        reads: the modalities it reads, ``audio video`` or one of them.
        reconstructed: what of it no source gives exactly; empty where all is known.
        imported: where it was trained elsewhere, each fold's file; else empty.
        parameters: trainable and not.
        protocol, seed, data: of the run; ``imported`` is no protocol of ours.
        clips, speakers, folds: how many were tested.
        skipped: clips beside these that could not be used.
        level: of the interval.
    """

    name: str
    accuracy: float
    deviation: float
    low: float
    high: float
    uar: float
    f1: float
    top2: float
    last: float | None
    optimistic: float | None
    without_video: float | None
    without_audio: float | None
    reads: str
    reconstructed: str
    imported: str
    parameters: int
    protocol: str
    seed: int
    data: str
    clips: int
    skipped: int
    speakers: int
    folds: int
    level: float


COLUMNS = (
    "System",
    "Accuracy",
    "± folds",
    "Interval",
    "UAR",
    "F1",
    "Top-2",
    "Last epoch",
    "Optimistic",
    "Gap",
    "No face",
    "No voice",
    "Parameters",
)


def cells_of(line: Row) -> tuple[str, ...]:
    """One row's text, column by column; the terminal and the page show the same."""
    return (
        f"{line.name}, imported" if line.imported else line.name,
        _percent(line.accuracy),
        _percent(line.deviation),
        f"{_percent(line.low)}–{_percent(line.high)}",
        _percent(line.uar),
        _percent(line.f1),
        _percent(line.top2),
        _percent(line.last),
        _percent(line.optimistic),
        _percent(None if line.optimistic is None else line.optimistic - line.accuracy, sign="+"),
        _percent(line.without_video),
        _percent(line.without_audio),
        f"{line.parameters:,}",
    )


def title(rows: list[Row], corpus: str) -> str:
    """What the table is of."""
    return f"{corpus}: {rows[0].clips} clips, {rows[0].speakers} speakers, {rows[0].folds} folds"


def footnotes(rows: list[Row], corpus: str) -> Iterator[str]:
    """What a reader must know beside the figures."""
    trained = sorted({line.protocol for line in rows if not line.imported})
    chosen = f", at the epoch that the validation speakers chose ({', '.join(trained)})" if trained else ""
    yield (
        f"Accuracy, UAR, F1 and top-2 in % on test speakers{chosen}. Interval: {rows[0].level:.0%} over speakers "
        "(Student's t)."
    )
    yield (
        "Optimistic: the best test epoch of the same run, as the published code reports it. It is not a result; "
        "Gap says how far it flatters. A system that trains nothing joins both modalities' best test epochs."
    )
    yield (
        "No face, no voice: the same networks, given the training clips' mean features in place of that modality, or a "
        "uniform prediction where two predictions are joined. A dash: it reads one modality alone."
    )
    yield from _provenance(rows)
    yield f"Seed {rows[0].seed}, data {rows[0].data}."
    if rows[0].skipped:
        yield f"{rows[0].skipped} more clips could not be used and were skipped; report.md says which and why."
    if corpus == "studio":
        yield STUDIO_NOTE


def _provenance(rows: list[Row]) -> Iterator[str]:
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


def markdown(rows: list[Row], corpus: str, skipped: Mapping[str, str]) -> str:
    """The table as a Markdown page.

    Args:
        rows: the systems.
        corpus: what they were measured on.
        skipped: by clip, why it could not be used.
    """
    lines = [
        f"# {title(rows, corpus)}",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|---|{'---:|' * (len(COLUMNS) - 1)}",
    ]
    lines += [f"| {' | '.join(cells_of(line))} |" for line in rows]
    for note in footnotes(rows, corpus):
        lines += ["", note]
    if skipped:
        lines += ["", "| Skipped clip | Why |", "|---|---|"]
        lines += [f"| {_plain(clip)} | {_plain(reason)} |" for clip, reason in skipped.items()]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text of a file's own making, without what Markdown or HTML would take for more than text."""
    return "".join(f"&#{ord(one)};" if one in "&<>|`*_[]\\~" else one for one in text)


def _percent(share: float | None, sign: str = "") -> str:
    return "–" if share is None else f"{100 * share:{sign}.1f}"
