"""The report as one page that opens without a network."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment
from markupsafe import Markup

import cfnsr
from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.report import cross_table, notes, published, table
from cfnsr.report.page import charts, tables
from cfnsr.report.page.gallery import Gallery
from cfnsr.report.page.misclassified import MOST, misclassified
from cfnsr.report.page.provenance import Provenance
from cfnsr.report.results import Results
from cfnsr.report.rows import ResultRow, best_of
from cfnsr.runtime import stored, templates
from cfnsr.runtime.outputs import atomic_file

RUN_INFO = Markup("<!-- run info -->")
_SECTIONS = {
    "results": "Results",
    "differences": "Differences between systems",
    "cross": cross_table.TITLE,
    "published": "Published figures",
    "confusion": "Confusion matrix",
    "recall": "Recall of each emotion",
    "curves": "Learning curves",
    "reliability": "Reliability",
    "modalities": "Without the face or the voice",
    "speakers": "Accuracy on each speaker",
    "mistakes": "Misclassified clips",
    "data": "Data",
    "provenance": "Provenance",
}


def write(path: Path, results: Results, manifest: Manifest, gallery: Gallery, provenance: Provenance) -> None:
    """Write the page; the same results give the same bytes.

    Args:
        path: of the page.
        results: of every row.
        manifest: labels, folds and fingerprint of the data.
        gallery: draws the clips.
        provenance: the run's params.
    """
    best = best_of(results.rows)
    first = best.name if best else results.rows[0].name
    drawn = _charts(results, manifest, first)
    mistakes = _mistakes(results, manifest, gallery)  # draws the gallery's pictures
    warning = notes.STUDIO_NOTE if manifest.corpus == "studio" else ""
    footnotes = notes.footnotes(results.rows, results.differences, manifest.corpus)
    script, vega = _asset("page.js"), _vega()
    names = [(row.name, row.name) for row in results.rows]
    page = (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=table.title(results.rows, manifest.corpus),
            lead=_lead(results.rows, manifest),
            first=first,
            warning=warning,
            sections=_sections(results, drawn, manifest.corpus),
            hashes=" ".join(_hash(text) for text in (vega, script)),
            style=_trusted(_asset("page.css")),
            script=_trusted(script),
            vega=_trusted(vega),
            content={"charts": drawn, "pictures": gallery.pictures},
            systems=names,
            trained=[pair for pair in names if pair[0] in results.curves],
            folds=[(fold, fold) for fold in manifest.folds],
            results=tables.results(results.rows),
            comparisons=tables.comparisons(results.differences),
            cross=tables.cross(results.cross),
            cross_notes=[*cross_table.notes(results.cross, manifest.corpus)],
            published=tables.published(manifest.corpus),
            published_note=published.NOTE,
            notes=[note for note in footnotes if note != warning],
            most=MOST,
            mistakes=mistakes,
            faces=gallery.faces,
            data_card=gallery.data_card(),
            skipped=tables.texts(("Clip", "Reason"), manifest.skipped.items()),
            provenance_card=[("Fingerprint of the data", manifest.fingerprint), ("Seeds", results.rows[0].seeds)],
            preset=provenance.preset,
            changed=tables.texts(("Key", f"Preset {provenance.preset}", "This run"), provenance.changed),
            version=cfnsr.__version__,
            percent=table.percent,
            zip=zip,
            RUN_INFO=RUN_INFO,
        )
    )
    with atomic_file(path) as partial:
        partial.write_text(page, encoding="utf-8")


def with_run_info(path: Path, out: Path, info: list[tuple[str, str]]) -> None:
    """Copy the page and add facts that differ from run to run; the copy is not an output of the pipeline.

    Args:
        path: the page.
        out: the copy.
        info: names and values, added under provenance.

    Raises:
        CfnsrError: there is no page, or it was not written by ``write``.
    """
    page = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if page.count(RUN_INFO) != 1:
        raise CfnsrError(path, "is missing, or is not the report's page", stored.AGAIN)
    added = _environment().from_string(
        "<h3>This run</h3><dl class='card'>"
        "{% for name, value in info %}<div><dt>{{ name }}</dt><dd>{{ value }}</dd></div>{% endfor %}</dl>"
    )
    with atomic_file(out) as partial:
        partial.write_text(page.replace(RUN_INFO, added.render(info=info)), encoding="utf-8")


def _charts(results: Results, manifest: Manifest, first: str) -> dict[str, charts.Spec]:
    specs = {
        "ranking": charts.ranking(results.rows, manifest.labels),
        "confusion": charts.confusion(results.predictions, manifest.labels, first),
        "recall": charts.recall(results.recalls, manifest.labels),
        "loss": charts.curves(results.curves, "loss", first),
        "accuracy": charts.curves(results.curves, "accuracy", first),
        "reliability": charts.reliability(results.predictions, manifest.labels, first),
        "modalities": charts.modalities(results.rows),
        "speakers": charts.speakers(results.predictions),
    }
    return {name: spec for name, spec in specs.items() if spec is not None}


def _mistakes(results: Results, manifest: Manifest, gallery: Gallery) -> list[dict[str, Any]]:
    """List each system's misclassified clips with their pictures."""
    mistakes = []
    for name in results.predictions:
        clips = misclassified(name, results.predictions, manifest.labels)
        shown = [(clip, gallery.draw(name, clip)) for clip in clips[:MOST]]
        if clips:
            mistakes.append({"system": name, "count": len(clips), "clips": shown})
    return mistakes


def _sections(results: Results, drawn: dict[str, charts.Spec], corpus: str) -> dict[str, str]:
    """Return the titles of the sections that are not empty, by anchor."""
    present = {
        "differences": bool(results.differences),
        "cross": bool(results.cross),
        "published": bool(published.figures(corpus)[1]),
        "curves": bool(results.curves),
        "modalities": "modalities" in drawn,
    }
    return {anchor: title for anchor, title in _SECTIONS.items() if present.get(anchor, True)}


def _lead(rows: Sequence[ResultRow], manifest: Manifest) -> str:
    """Say how well all rows do: naming the highest alone would let the test speakers choose."""
    compared = sorted((row for row in rows if row.compared), key=lambda row: row.accuracy)
    if not compared:
        return (
            "No figure here is a result: the test speakers chose the epochs, or frozen weights have seen this corpus."
        )
    # Nobody knows here which speakers an imported network was trained on.
    imported = any(row.imported for row in compared)
    clips = "of the test clips" if imported else "of clips of speakers whom they were not trained on"
    chance = f"chance is {table.percent(1 / len(manifest.labels))} %"
    shares = [f"{table.percent(row.accuracy)} % ({row.name}, {_interval(row)})" for row in compared]
    if len(shares) == 1:
        return f"The emotion is recognised in {shares[0]} {clips}; {chance}."
    return (
        f"{len(shares)} rows recognise the emotion in {shares[0]} to {shares[-1]} {clips}; {chance}. "
        "Which row is highest depends on these speakers too: others may rank them differently."
    )


def _interval(row: ResultRow) -> str:
    return f"{100 * row.ci_level:.0f} % confidence interval {table.percent(row.ci_low)}–{table.percent(row.ci_high)}"


def _environment() -> Environment:
    environment = templates.environment(__name__)
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment


@functools.cache
def _vega() -> str:
    """Bundle the library that draws the charts, which takes a second."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def _asset(name: str) -> str:
    return files("cfnsr.report.page").joinpath(name).read_text(encoding="utf-8")


def _trusted(text: str) -> Markup:
    """Mark text that the page contains unescaped: none of it may come from data."""
    return Markup(text)  # noqa: S704


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
