"""The table of results and all that stands behind it, as one page that opens without a network."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import cfnsr
from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.report import table
from cfnsr.report.page import cases, charts, tables
from cfnsr.report.page.provenance import Origin
from cfnsr.report.page.shown import Shown
from cfnsr.report.results import Results
from cfnsr.report.rows import ResultRow
from cfnsr.runtime.outputs import atomic_file

RUN_INFO = Markup("<!-- run info -->")
_SECTIONS = {
    "results": "Results",
    "ranking": "Ranking",
    "confusion": "Confusion",
    "recall": "Recall",
    "curves": "Learning curves",
    "reliability": "Reliability",
    "modalities": "Modalities",
    "speakers": "Speakers",
    "mistakes": "Mistakes",
    "data": "Data",
    "provenance": "Provenance",
}


def write(path: Path, results: Results, manifest: Manifest, shown: Shown, origin: Origin) -> None:
    """Write the page: the same bytes for the same results.

    Args:
        path: where.
        results: of every row.
        manifest: labels, folds, speakers and fingerprint of the data.
        shown: the clips that may be shown.
        origin: how the run was made.
    """
    best = _best(results)
    first = best.name if best else results.rows[0].name
    drawn = _charts(results, manifest, first)
    mistakes = [
        {"name": name, "cases": [shown.case(name, one) for one in found[: cases.MOST]], "all": len(found)}
        for name in results.predicted
        if (found := cases.wrong(name, results.predicted, manifest.labels))
    ]
    warning = table.STUDIO_NOTE if manifest.corpus == "studio" else ""
    notes = table.footnotes(results.rows, results.differences, manifest.corpus)
    script, vega = _text("page.js"), vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    names = [(line.name, line.name) for line in results.rows]
    page = (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=table.title(results.rows, manifest.corpus),
            lead=_lead(best, manifest),
            first=first,
            warning=warning,
            sections=_sections(results, drawn),
            hashes=" ".join(_hash(text) for text in (vega, script)),
            style=_ours(_text("page.css")),
            script=_ours(script),
            vega=_ours(vega),
            content=_json({"charts": drawn, "pictures": shown.pictures}),
            charts=drawn,
            systems=names,
            learners=[pair for pair in names if pair[0] in results.curves],
            folds=[(fold, fold) for fold in manifest.folds],
            results=tables.results(results.rows),
            comparisons=tables.comparisons(results.differences),
            notes=[note for note in notes if note != warning],
            most=cases.MOST,
            mistakes=mistakes,
            faces=shown.faces,
            card=shown.card(manifest),
            skipped=tables.words(("Clip", "Why"), manifest.skipped.items()),
            provenance=[
                ("Data", manifest.fingerprint),
                ("Seeds", results.rows[0].seeds),
                ("Labels", ", ".join(manifest.labels)),
            ],
            preset=origin.preset,
            changed=tables.words(("Param", f"In {origin.preset}", "Here"), origin.changed),
            version=cfnsr.__version__,
            percent=table.percent,
            zip=zip,
            RUN_INFO=RUN_INFO,
        )
    )
    with atomic_file(path) as partial:
        partial.write_text(page, encoding="utf-8")


def with_run_info(path: Path, out: Path, info: list[tuple[str, str]]) -> None:
    """Write a copy of the page that also says when, where and how long; such a copy is no output of the pipeline.

    Args:
        path: the page.
        out: the copy.
        info: names and values to add under provenance.

    Raises:
        CfnsrError: there is no page, or it is not one of ours.
    """
    page = path.read_text(encoding="utf-8") if path.is_file() else ""
    if page.count(RUN_INFO) != 1:
        raise CfnsrError(path, "is missing, or no page of ours", "Run `dvc repro report`")
    added = _environment().from_string(
        "<h3>This run</h3><dl class='card'>"
        "{% for name, value in info %}<div><dt>{{ name }}</dt><dd>{{ value }}</dd></div>{% endfor %}</dl>"
    )
    with atomic_file(out) as partial:
        partial.write_text(page.replace(RUN_INFO, added.render(info=info)), encoding="utf-8")


def _charts(results: Results, manifest: Manifest, first: str) -> dict[str, charts.Spec]:
    drawn = {
        "ranking": charts.ranking(results.rows, manifest.labels),
        "confusion": charts.confusion(results.predicted, manifest.labels, first),
        "recall": charts.recall(results.recalls, manifest.labels),
        "loss": charts.curves(results.curves, "loss", first),
        "accuracy": charts.curves(results.curves, "accuracy", first),
        "reliability": charts.reliability(results.predicted, manifest.labels, first),
        "modalities": charts.modalities(results.rows),
        "speakers": charts.speakers(results.predicted),
    }
    return {name: spec for name, spec in drawn.items() if spec is not None}


def _sections(results: Results, drawn: dict[str, charts.Spec]) -> list[tuple[str, str]]:
    """Anchors and names of those that have something to show."""
    shown = {"curves": bool(results.curves), "modalities": "modalities" in drawn}
    return [(anchor, name) for anchor, name in _SECTIONS.items() if shown.get(anchor, True)]


def _best(results: Results) -> ResultRow | None:
    """The row of the highest accuracy; none where every figure is optimistic."""
    return max((line for line in results.rows if not line.published), key=lambda line: line.accuracy, default=None)


def _lead(best: ResultRow | None, manifest: Manifest) -> str:
    if best is None:
        return "Every figure here is optimistic: the test speakers chose the epochs."
    # Whom an imported network has seen cannot be known here.
    whose = "tested" if best.imported else "of speakers it never saw"
    return (
        f"{best.name} is right on {table.percent(best.accuracy)} % of the clips {whose} "
        f"({best.level:.0%} interval {table.percent(best.low)}–{table.percent(best.high)}); chance is "
        f"{table.percent(1 / len(manifest.labels))} %."
    )


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("cfnsr", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _text(name: str) -> str:
    return files("cfnsr.report.page").joinpath(name).read_text(encoding="utf-8")


def _json(content: dict[str, Any]) -> Markup:
    """JSON that ends no script element, whatever a label says."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return _ours(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _ours(text: str) -> Markup:
    """Text that stands on the page as it is: none of it may come from data."""
    return Markup(text)  # noqa: S704


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
