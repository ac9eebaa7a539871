"""Make Vega-Lite charts of the figures; ``page.js`` draws and switches them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import altair as alt
import pandas as pd

from cfnsr.report import metrics
from cfnsr.report.rows import ResultRow

Spec = dict[str, Any]

_BLUE, _ORANGE, _GREY, _RED = "#2f6db3", "#c8641b", "#8a8f98", "#c62828"
_PALE, _DEEP = "#eef4fa", "#1b5a9e"
_SETS = {"train": _ORANGE, "validation": _BLUE, "test": _GREY}
_KINDS = {"both": "accuracy", "without face": "without_video", "without voice": "without_audio"}


def ranking(rows: list[ResultRow], labels: list[str]) -> Spec:
    """Draw every system's accuracy and interval, the best on top; figures in grey and red are not results.

    Rows whose frozen weights have seen the corpus, in red, are below all others: they have no rank.
    """
    names = ("accuracy", "ci_low", "ci_high", "best_test_epoch")
    figures = pd.DataFrame(
        {"system": row.name, "optimistic": row.test_selected, "seen": row.seen == "yes", "chance": 1 / len(labels)}
        | {"rank": row.accuracy - (row.seen == "yes")}
        | {name: getattr(row, name) for name in names}
        for row in rows
    )
    colour = alt.when("datum.seen").then(alt.value(_RED)).when("datum.optimistic").then(alt.value(_GREY))
    colour = colour.otherwise(alt.value(_BLUE))
    base = alt.Chart(figures).encode(
        y=alt.Y("system:N", title=None, sort=alt.EncodingSortField("rank", order="descending"))
    )
    across = alt.X("accuracy:Q", title="accuracy", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    return _spec(
        base.mark_rule(color=_GREY, strokeDash=[2, 3]).encode(x="chance:Q", y=alt.value(0), y2=alt.value("height")),
        base.mark_rule(strokeWidth=3).encode(x=alt.X("ci_low:Q"), x2="ci_high:Q", color=colour),
        base.mark_tick(color=_GREY, thickness=3, size=14).encode(
            x="best_test_epoch:Q", tooltip=_tips("system:N", best_test_epoch=".1%")
        ),
        base.mark_point(filled=True, size=90, opacity=1).encode(
            x=across, color=colour, tooltip=_tips("system:N", accuracy=".1%", ci_low=".1%", ci_high=".1%")
        ),
        height=26 * len(rows),
        description="Accuracy of each system with its confidence interval, the best on top",
    )


def confusion(predictions: dict[str, pd.DataFrame], labels: list[str], first: str) -> Spec:
    """Draw how often each emotion is predicted for each actual emotion.

    The page switches ``system``, ``fold`` and ``of``: shares of the actual or predicted emotion's clips, or ``clips``.
    """
    counts = pd.concat(
        table.groupby(["fold", "label", "predicted"], as_index=False).agg(clips=("clip", "size")).assign(system=name)
        for name, table in predictions.items()
    )
    across = alt.X(
        "predicted:N", title="predicted", sort=labels, scale=alt.Scale(domain=labels), axis=alt.Axis(labelAngle=-45)
    )
    base = (
        alt.Chart(counts)
        .transform_filter("datum.system == system && (fold == '' || datum.fold == fold)")
        .transform_aggregate(clips="sum(clips)", groupby=["label", "predicted"])
        .transform_impute("clips", key="predicted", keyvals=labels, groupby=["label"], value=0)
        .transform_joinaggregate(of_actual="sum(clips)", groupby=["label"])
        .transform_joinaggregate(of_predicted="sum(clips)", groupby=["predicted"])
        .transform_joinaggregate(most="max(clips)")
        .transform_calculate(
            whole="of == 'predicted' ? datum.of_predicted : of == 'actual' ? datum.of_actual : datum.most"
        )
        .transform_calculate(share="datum.whole > 0 ? datum.clips / datum.whole : 0")
        .transform_calculate(
            text="of == 'clips' ? format(datum.clips, 'd') : format(100 * datum.share, '.0f')",
        )
        .encode(x=across, y=alt.Y("label:N", title="actual", sort=labels, scale=alt.Scale(domain=labels)))
    )
    return _spec(
        *_heat_map(base, tips=_tips("label:N", "predicted:N", clips="d", share=".1%")),
        height=34 * len(labels),
        description="Confusion matrix of one system",
        params={"system": first, "fold": "", "of": "actual"},
    )


def recall(recalls: pd.DataFrame, labels: list[str]) -> Spec:
    """Draw each system's recall of each emotion."""
    base = (
        alt.Chart(recalls)
        .transform_calculate(share="datum.recall", text="format(100 * datum.recall, '.0f')")
        .encode(
            x=alt.X("label:N", title=None, sort=labels, axis=alt.Axis(labelAngle=-45)),
            y=alt.Y("name:N", title=None, sort=None),
        )
    )
    return _spec(
        *_heat_map(base, tips=_tips("name:N", "label:N", recall=".1%", clips="d")),
        height=30 * len(set(recalls["name"])),
        description="Recall of each emotion, by system",
    )


def speakers(predictions: dict[str, pd.DataFrame]) -> Spec:
    """Draw each system's accuracy on each speaker."""
    figures = pd.concat(
        table.assign(correct=table["label"] == table["predicted"])
        .groupby("actor", as_index=False)
        .agg(accuracy=("correct", "mean"), clips=("correct", "size"))
        .assign(system=name)
        for name, table in predictions.items()
    )
    base = (
        alt.Chart(figures)
        .transform_calculate(share="datum.accuracy", text="format(100 * datum.accuracy, '.0f')")
        .encode(
            x=alt.X("actor:N", title="speaker", axis=alt.Axis(labelAngle=0)), y=alt.Y("system:N", title=None, sort=None)
        )
    )
    return _spec(
        *_heat_map(base, tips=_tips("system:N", "actor:N", accuracy=".1%", clips="d")),
        height=30 * len(predictions),
        description="Accuracy on each speaker, by system",
    )


def curves(by_system: dict[str, pd.DataFrame], measure: str, first: str) -> Spec | None:
    """Draw ``loss`` or ``accuracy`` by epoch, averaged over folds and seeds; the page switches ``system``."""
    if not by_system:
        return None
    columns = next(iter(by_system.values())).columns
    sets = [name for name in _SETS if f"{name}_{measure}" in columns]
    figures = pd.concat(
        table[["epoch", "trials"]].assign(value=table[f"{name}_{measure}"], system=system, set=name)
        for system, table in by_system.items()
        for name in sets
    )
    colours = alt.Scale(domain=sets, range=[_SETS[name] for name in sets])
    lines = (
        alt.Chart(figures)
        .transform_filter("datum.system == system")
        .mark_line(point=alt.OverlayMarkDef(size=12))
        .encode(
            x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("value:Q", title=measure, axis=alt.Axis(format="%" if measure == "accuracy" else "")),
            color=alt.Color("set:N", scale=colours, title=None, legend=alt.Legend(orient="top")),
            tooltip=_tips("set:N", epoch="d", value=".3f", trials="d"),
        )
    )
    return _spec(
        lines,
        height=220,
        description=f"Learning curves of one system: {measure} by epoch",
        params={"system": first if first in by_system else next(iter(by_system))},
    )


def reliability(predictions: dict[str, pd.DataFrame], labels: list[str], first: str) -> Spec:
    """Draw accuracy against confidence, equal on the dashed line; the page switches ``system``."""
    bins = pd.concat(metrics.reliability_bins(table, labels).assign(system=name) for name, table in predictions.items())
    base = alt.Chart(bins).transform_filter("datum.system == system")
    axis = {"scale": alt.Scale(domain=[0, 1]), "axis": alt.Axis(format="%")}
    diagonal = alt.Chart(pd.DataFrame({"confidence": [0, 1], "accuracy": [0, 1]}))
    return _spec(
        diagonal.mark_line(color=_GREY, strokeDash=[4, 4]).encode(x="confidence:Q", y="accuracy:Q"),
        base.mark_line(color=_BLUE).encode(x="confidence:Q", y="accuracy:Q"),
        base.mark_point(color=_BLUE, filled=True, opacity=1).encode(
            x=alt.X("confidence:Q", title="confidence", **axis),
            y=alt.Y("accuracy:Q", title="accuracy", **axis),
            size=alt.Size("clips:Q", title="clips", legend=None),
            tooltip=_tips(confidence=".1%", accuracy=".1%", clips="d"),
        ),
        height=300,
        description="Reliability diagram of one system",
        params={"system": first},
    )


def modalities(rows: list[ResultRow]) -> Spec | None:
    """Draw each system's accuracy with both modalities, without the face, and without the voice."""
    figures = pd.DataFrame(
        {"system": row.name, "given": kind, "accuracy": getattr(row, name)}
        for row in rows
        if row.without_video is not None
        for kind, name in _KINDS.items()
    )
    if figures.empty:
        return None
    colours = alt.Scale(domain=list(_KINDS), range=[_BLUE, _ORANGE, _GREY])
    bars = (
        alt.Chart(figures)
        .mark_bar()
        .encode(
            x=alt.X("accuracy:Q", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("system:N", title=None, sort=None),
            yOffset=alt.YOffset("given:N", sort=list(_KINDS)),
            color=alt.Color("given:N", title=None, scale=colours, legend=alt.Legend(orient="top")),
            tooltip=_tips("system:N", "given:N", accuracy=".1%"),
        )
    )
    return _spec(
        bars,
        height=56 * len(set(figures["system"])),
        description="Accuracy with both modalities, without the face, without the voice",
    )


def _heat_map(base: alt.Chart, tips: list[alt.Tooltip]) -> Iterable[alt.Chart]:
    """Draw cells that are darker for larger shares, with their text."""
    colour = alt.Color("share:Q", scale=alt.Scale(range=[_PALE, _DEEP], domain=[0, 1]), legend=None)
    text_colour = alt.condition("datum.share > 0.77", alt.value("#ffffff"), alt.value("#10151c"))  # both can be read
    base = base.encode(tooltip=tips)
    return base.mark_rect().encode(color=colour), base.mark_text().encode(text="text:N", color=text_colour)


def _tips(*names: str, **formats: str) -> list[alt.Tooltip]:
    return [
        *(alt.Tooltip(name) for name in names),
        *(alt.Tooltip(f"{name}:Q", format=number_format) for name, number_format in formats.items()),
    ]


def _spec(*layers: alt.Chart, height: int, description: str, params: dict[str, str] | None = None) -> Spec:
    chart = alt.layer(*layers).properties(
        width="container", height=height, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    )
    switched = [alt.param(name=name, value=value) for name, value in (params or {}).items()]
    spec = (chart.add_params(*switched) if switched else chart).properties(background="transparent").to_dict()
    spec.pop("config", None)  # the page's, which follows light and dark
    return {**spec, "description": description}
