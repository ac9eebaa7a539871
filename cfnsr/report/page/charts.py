"""Figures of the table -> Vega-Lite charts, which ``page.js`` draws and switches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import altair as alt
import pandas as pd

from cfnsr.report import calibration
from cfnsr.report.rows import ResultRow

Spec = dict[str, Any]

_BLUE, _ORANGE, _GREY = "#2f6db3", "#c8641b", "#8a8f98"
_PALE, _DEEP = "#eef4fa", "#1b5a9e"


def ranking(rows: list[ResultRow], labels: list[str]) -> Spec:
    """Every system's accuracy and interval, the best on top; in grey what is no result."""
    figures = pd.DataFrame(
        {
            "system": line.name,
            "accuracy": line.accuracy,
            "low": line.low,
            "high": line.high,
            "best_test_epoch": line.best_test_epoch,
            "chance": 1 / len(labels),
        }
        for line in rows
    )
    base = alt.Chart(figures).encode(
        y=alt.Y("system:N", title=None, sort=alt.EncodingSortField("accuracy", order="descending"))
    )
    across = alt.X("accuracy:Q", title="accuracy", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    return _spec(
        base.mark_rule(color=_GREY, strokeDash=[2, 3]).encode(x="chance:Q", y=alt.value(0), y2=alt.value("height")),
        base.mark_rule(color=_BLUE, strokeWidth=3).encode(x=alt.X("low:Q"), x2="high:Q"),
        base.mark_tick(color=_GREY, thickness=3, size=14).encode(
            x="best_test_epoch:Q", tooltip=_tips("system:N", best_test_epoch=".1%")
        ),
        base.mark_point(color=_BLUE, filled=True, size=90, opacity=1).encode(
            x=across, tooltip=_tips("system:N", accuracy=".1%", low=".1%", high=".1%")
        ),
        height=26 * len(rows),
        told="Accuracy of each system with its interval, the best on top",
    )


def confusion(predicted: dict[str, pd.DataFrame], labels: list[str], first: str) -> Spec:
    """Which emotion is taken for which; ``system``, ``fold`` and ``of`` (actual, predicted, clips) are switched."""
    counts = pd.concat(
        chosen.groupby(["fold", "label", "predicted"], as_index=False).agg(clips=("clip", "size")).assign(system=name)
        for name, chosen in predicted.items()
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
        .transform_calculate(
            share="datum.whole > 0 ? datum.clips / datum.whole : 0",
        )
        .transform_calculate(
            told="of == 'clips' ? format(datum.clips, 'd') : format(100 * datum.share, '.0f')",
        )
        .encode(
            x=alt.X(
                "predicted:N",
                title="predicted",
                sort=labels,
                scale=alt.Scale(domain=labels),
                axis=alt.Axis(labelAngle=-45),
            ),
            y=alt.Y("label:N", title="actual", sort=labels, scale=alt.Scale(domain=labels)),
        )
    )
    return _spec(
        *_heat(base, tips=_tips("label:N", "predicted:N", clips="d", share=".1%")),
        height=34 * len(labels),
        told="Confusion matrix of one system",
        params={"system": first, "fold": "", "of": "actual"},
    )


def recall(recalls: pd.DataFrame, labels: list[str]) -> Spec:
    """Each system's share of right clips, emotion by emotion."""
    base = (
        alt.Chart(recalls)
        .transform_calculate(share="datum.recall", told="format(100 * datum.recall, '.0f')")
        .encode(
            x=alt.X("label:N", title=None, sort=labels, axis=alt.Axis(labelAngle=-45)),
            y=alt.Y("name:N", title=None, sort=None),
        )
    )
    return _spec(
        *_heat(base, tips=_tips("name:N", "label:N", recall=".1%", clips="d")),
        height=30 * len(set(recalls["name"])),
        told="Recall of each emotion, system by system",
    )


def speakers(predicted: dict[str, pd.DataFrame]) -> Spec:
    """Each system's accuracy, speaker by speaker."""
    shares = pd.concat(
        chosen.assign(right=chosen["label"] == chosen["predicted"])
        .groupby("actor", as_index=False)
        .agg(accuracy=("right", "mean"), clips=("right", "size"))
        .assign(system=name)
        for name, chosen in predicted.items()
    )
    base = (
        alt.Chart(shares)
        .transform_calculate(share="datum.accuracy", told="format(100 * datum.accuracy, '.0f')")
        .encode(
            x=alt.X("actor:N", title="speaker", axis=alt.Axis(labelAngle=0)), y=alt.Y("system:N", title=None, sort=None)
        )
    )
    return _spec(
        *_heat(base, tips=_tips("system:N", "actor:N", accuracy=".1%", clips="d")),
        height=30 * len(predicted),
        told="Accuracy for each speaker, system by system",
    )


def curves(drawn: dict[str, pd.DataFrame], measure: str, first: str) -> Spec | None:
    """``loss`` or ``accuracy`` by epoch, averaged over folds and seeds; ``system`` is switched."""
    if not drawn:
        return None
    sets = [name for name in ("train", "validation", "test") if f"{name}_{measure}" in next(iter(drawn.values()))]
    long = pd.concat(
        one[["epoch", "trials"]].assign(value=one[f"{name}_{measure}"], system=system, set=name)
        for system, one in drawn.items()
        for name in sets
    )
    colours = alt.Scale(
        domain=sets, range=[{"train": _ORANGE, "validation": _BLUE, "test": _GREY}[one] for one in sets]
    )
    lines = (
        alt.Chart(long)
        .transform_filter("datum.system == system")
        .mark_line(point=alt.OverlayMarkDef(size=12))
        .encode(
            x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("value:Q", title=measure, axis=alt.Axis(format="%" if measure == "accuracy" else "")),
            color=alt.Color("set:N", scale=colours, title=None, legend=alt.Legend(orient="top")),
            tooltip=_tips("set:N", epoch="d", value=".3f", trials="d"),
        )
    )
    told = f"Learning curves of one system: {measure} by epoch"
    return _spec(lines, height=220, told=told, params={"system": first if first in drawn else next(iter(drawn))})


def reliability(predicted: dict[str, pd.DataFrame], labels: list[str], first: str) -> Spec:
    """How often predictions of a confidence are right; on the dashed line they are as often right as they say."""
    bins = pd.concat(calibration.bins(chosen, labels).assign(system=name) for name, chosen in predicted.items())
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
        told="Reliability diagram of one system",
        params={"system": first},
    )


def modalities(rows: list[ResultRow]) -> Spec | None:
    """What is left of a system's accuracy without the face, and without the voice."""
    kinds = {"both": "accuracy", "without face": "without_video", "without voice": "without_audio"}
    figures = pd.DataFrame(
        {"system": line.name, "given": kind, "accuracy": getattr(line, name)}
        for line in rows
        if line.without_video is not None
        for kind, name in kinds.items()
    )
    if figures.empty:
        return None
    colours = alt.Scale(domain=list(kinds), range=[_BLUE, _ORANGE, _GREY])
    bars = (
        alt.Chart(figures)
        .mark_bar()
        .encode(
            x=alt.X("accuracy:Q", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("system:N", title=None, sort=None),
            yOffset=alt.YOffset("given:N", sort=list(kinds)),
            color=alt.Color("given:N", title=None, scale=colours, legend=alt.Legend(orient="top")),
            tooltip=_tips("system:N", "given:N", accuracy=".1%"),
        )
    )
    return _spec(
        bars,
        height=56 * len(set(figures["system"])),
        told="Accuracy with both modalities, without the face, without the voice",
    )


def _heat(base: alt.Chart, tips: list[alt.Tooltip]) -> Iterable[alt.Chart]:
    """Cells that are darker for larger shares, with the figure in each."""
    colour = alt.Color("share:Q", scale=alt.Scale(range=[_PALE, _DEEP], domain=[0, 1]), legend=None)
    written = alt.condition("datum.share > 0.77", alt.value("#ffffff"), alt.value("#10151c"))  # both can be read
    base = base.encode(tooltip=tips)
    return base.mark_rect().encode(color=colour), base.mark_text().encode(text="told:N", color=written)


def _tips(*names: str, **formats: str) -> list[alt.Tooltip]:
    return [alt.Tooltip(name) for name in names] + [
        alt.Tooltip(f"{name}:Q", format=how) for name, how in formats.items()
    ]


def _spec(*layers: alt.Chart, height: int, told: str, params: dict[str, str] | None = None) -> Spec:
    drawn = alt.layer(*layers).properties(
        width="container", height=height, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    )
    named = [alt.param(name=name, value=value) for name, value in (params or {}).items()]
    spec = (drawn.add_params(*named) if named else drawn).properties(background="transparent").to_dict()
    spec.pop("config", None)  # the page's, which follows light and dark
    return {**spec, "description": told}
