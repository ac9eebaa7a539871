"""The table of results, as it reads in the terminal and on a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cfnsr.row import Difference, Row

STUDIO_NOTE = (
    "Studio is synthetic: one animated portrait and a speech synthesiser. Its figures show that the "
    "machinery works; they say nothing about recognising emotions."
)


COLUMNS = (
    "System",
    "Accuracy",
    "± folds",
    "± seeds",
    "Interval",
    "UAR",
    "F1",
    "Top-2",
    "ECE",
    "ECE scaled",
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
        line.name + (", imported" if line.imported else ", optimistic" if line.published else ""),
        _percent(line.accuracy),
        _percent(line.deviation),
        _percent(line.seed_deviation),
        f"{_percent(line.low)}–{_percent(line.high)}",
        _percent(line.uar),
        _percent(line.f1),
        _percent(line.top2),
        _percent(line.ece),
        _percent(line.ece_scaled),
        _percent(line.last),
        _percent(line.optimistic),
        _percent(line.gap, sign="+"),
        _percent(line.without_video),
        _percent(line.without_audio),
        f"{line.parameters:,}",
    )


def title(rows: list[Row], corpus: str) -> str:
    """What the table is of."""
    return f"{corpus}: {rows[0].clips} clips, {rows[0].speakers} speakers, {rows[0].folds} folds"


def footnotes(rows: list[Row], differences: list[Difference], corpus: str) -> Iterator[str]:
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


def markdown(rows: list[Row], differences: list[Difference], corpus: str, skipped: Mapping[str, str]) -> str:
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
        f"| {' | '.join(COLUMNS)} |",
        f"|---|{'---:|' * (len(COLUMNS) - 1)}",
    ]
    lines += [f"| {' | '.join(cells_of(line))} |" for line in rows]
    for note in footnotes(rows, differences, corpus):
        lines += ["", note]
    if differences:
        lines += ["", "| One | Other | Difference | p | p (Holm) |", "|---|---|---:|---:|---:|"]
        lines += [
            f"| {one.one} | {one.other} | {_percent(one.difference, '+')} | {one.p:.4f} | {one.p_holm:.4f} |"
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


def _percent(share: float | None, sign: str = "") -> str:
    return "–" if share is None else f"{100 * share:{sign}.1f}"
