"""The notes under the table of results, the same in the terminal, in Markdown and on the page."""

from __future__ import annotations

from collections.abc import Iterator

from cfnsr.report import table
from cfnsr.report.differences import Difference
from cfnsr.report.rows import ResultRow
from cfnsr.runtime import libraries

STUDIO_NOTE = (
    "Studio is synthetic: one animated portrait and a speech synthesiser. These figures show that the software works; "
    "they say nothing about recognising emotions."
)


def footnotes(rows: list[ResultRow], differences: list[Difference], corpus: str) -> Iterator[str]:
    """Explain the figures: what a reader must know to use them."""
    held_out = any(row.protocol == "held_out" for row in rows)
    epoch = ", at the epoch chosen on the validation speakers (held_out)" if held_out else ""
    yield f"Accuracy, UAR, F1 and top-2: in %, on test speakers{epoch}."
    units = rows[0].units
    yield (
        f"Interval: {100 * rows[0].ci_level:.0f} % confidence over {units} (Student's t). In simulations with "
        f"{units} like these it contains the true accuracy in {_range([row.coverage for row in rows])} of cases."
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
    if not table.alone(rows):
        yield (
            "No face, no voice: the same networks with that modality's features replaced by their mean over the "
            "training clips, or with a uniform prediction where two predictions are combined. A dash: the system reads "
            "one modality."
        )
    if any(row.published_accuracy is not None for row in rows):
        yield "Published: on RAVDESS, at epochs chosen on the test speakers. Do not compare it with the other columns."
    yield from _kinds(rows)
    yield f"Seed {rows[0].seeds}, data {rows[0].data}."
    yield from _libraries(rows)
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


def _libraries(rows: list[ResultRow]) -> Iterator[str]:
    """Say which libraries made the figures, and warn where they differ."""
    names: dict[str, list[str]] = {}
    for row in rows:
        names.setdefault(row.libraries, []).append(row.name)
    differing = libraries.differing([*names])
    if not any(differing):
        if rows[0].libraries:
            yield f"Made with {rows[0].libraries}."
        return
    parts = [f"{', '.join(of)}: {text}" for of, text in zip(names.values(), differing, strict=True)]
    yield (
        f"Made with different libraries, so that figures differ for that reason alone: {'; '.join(parts)}. "
        "`dvc repro -f` makes all with those that are installed."
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


def _range(shares: list[float]) -> str:
    low, high = f"{100 * min(shares):.0f}", f"{100 * max(shares):.0f}"
    return f"{low} %" if low == high else f"{low}–{high} %"
