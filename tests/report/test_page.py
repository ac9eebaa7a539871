"""The page, in a browser without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner
from playwright.sync_api import Browser, Page, sync_playwright

from cfnsr import cli
from cfnsr.cli import timing
from cfnsr.errors import CfnsrError
from cfnsr.report import page, published, table
from cfnsr.report.page.misclassified import MOST
from cfnsr.report.page.provenance import Provenance
from cfnsr.report.results import Results
from tests.support import corpus, made_up_results

CHARTS = ["ranking", "confusion", "recall", "loss", "accuracy", "reliability", "modalities", "speakers"]
VIEWS = [(1280, "light"), (1280, "dark"), (390, "light")]
# As root a browser's own sandbox does not start; the rest keeps it from looking for updates.
ARGUMENTS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None and "CI" not in os.environ:
        pytest.skip("pages are tested in a real Chromium, which is not installed; .ci/run installs it")
    assert path is not None, "CI installs Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus.write(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return made_up_results.gathered(tmp_path_factory.mktemp("corpus"), made_up_results.manifest())


@pytest.fixture(scope="module")
def out(figures: Results, shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metrics") / "studio"
    made_up_results.write(folder, shards, figures=figures)
    return folder


class OpenPage:
    """A page as a reader sees it; ``messages`` are the console's, ``requests`` all addresses asked for."""

    def __init__(self, browser: Browser, path: Path, width: int = 1280, scheme: Any = "light") -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, reduced_motion="reduce"
        )
        self.page: Page = self.context.new_page()
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("dialog", lambda dialog: self.messages.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("body[data-drawn=yes]", timeout=30_000)

    def __enter__(self) -> OpenPage:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def texts(self, selector: str) -> list[str]:
        return self.page.locator(selector).all_inner_texts()

    def chart_texts(self, chart: str) -> list[str]:
        """Texts of a heat map's cells."""
        return self.page.locator(f"#chart-{chart} svg .mark-text.role-mark text").all_text_contents()

    def wait_for_texts(self, chart: str, expected: list[str]) -> None:
        """Wait until a heat map has these texts, in any order."""
        self.page.wait_for_function(
            "([chart, expected]) => JSON.stringify([...document.querySelectorAll(`#chart-${chart} svg "
            ".mark-text.role-mark text`)].map(text => text.textContent).sort()) === JSON.stringify(expected)",
            arg=[chart, sorted(expected)],
            timeout=10_000,
        )

    def overflow(self) -> tuple[int, int]:
        """Pixels by which the page, and the table of results, are wider than what is seen."""
        return tuple(
            self.page.evaluate(
                "['html', '#results .scroll'].map(selector => document.querySelector(selector))"
                ".map(element => element.scrollWidth - element.clientWidth)"
            )
        )

    def open_details(self) -> None:
        self.page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")


@pytest.fixture(scope="module")
def view(browser: Browser, out: Path) -> Iterator[OpenPage]:
    """The page, loaded once; tests leave it as they like."""
    with OpenPage(browser, out / "report.html") as opened:
        yield opened


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_every_view_is_drawn_offline_and_accessible(browser: Browser, out: Path, width: int, scheme: str) -> None:
    with OpenPage(browser, out / "report.html", width, scheme) as opened:
        assert opened.messages == []
        assert [url for url in opened.requests if not url.startswith("data:")] == [(out / "report.html").as_uri()]
        charts = opened.page.query_selector_all("[data-chart]")
        assert [element.get_attribute("data-chart") for element in charts] == CHARTS
        for name in CHARTS:
            marks = opened.page.locator(f"#chart-{name} svg .role-mark path, #chart-{name} svg .role-mark line")
            assert marks.count() >= 1, name
        page_overflow, table_overflow = opened.overflow()
        assert page_overflow <= 0 and (table_overflow <= 0 or width == 390)
        opened.open_details()
        response = Axe().run(opened.page).response
        assert len(response["passes"]) > 20
        assert not {
            fault["id"]: fault["nodes"][0]["html"]
            for fault in response["violations"]
            if fault["impact"] in ("serious", "critical")
        }
    assert (out / "report.html").stat().st_size < 5e6


def test_long_tables_fit_1280_pixels(browser: Browser, shards: Path, tmp_path: Path, figures: Results) -> None:
    names = ["cfnsr_no_self_attention", "cfnsr@test_selected"]
    longest = [
        replace(figures.rows[2], name=name, std_seeds=0.1, p_best=1.0, parameters=42_897_870, protocol=protocol)
        for name, protocol in zip(names, ("held_out", "test_selected"), strict=True)
    ]
    longest.append(replace(longest[0], name="image_transformer", frozen_parameters=304_000_000, seen="unknown"))
    made_up_results.write(tmp_path, shards, figures=replace(figures, rows=[*figures.rows, *longest]))
    with OpenPage(browser, tmp_path / "report.html") as opened:
        assert max(opened.overflow()) <= 0
        opened.page.check("#all-columns")
        assert max(opened.overflow()) <= 0
        opened.page.emulate_media(media="print")
        opened.page.set_viewport_size({"width": 718, "height": 1000})  # A4 with the browser's margins
        assert opened.page.evaluate("document.querySelector('#results table').offsetWidth") <= 718 - 2 * 20


def test_columns_that_decide_come_first(view: OpenPage) -> None:
    headers = view.page.locator("#results thead th")
    columns = [column.name for column in table.COLUMNS if column.name not in ("Frozen", "Seen")]
    brief = [column.name for column in table.COLUMNS if column.brief]
    assert brief == ["System", "Accuracy", "Interval", "p (best)", "UAR", "Gap"]
    assert [header.inner_text() for header in headers.all() if header.is_visible()] == brief
    view.page.get_by_label("Show all 18 columns").focus()
    view.page.keyboard.press("Space")
    assert all(header.is_visible() for header in headers.all())
    assert [text.replace("\n", " ") for text in headers.all_inner_texts()] == columns
    view.page.keyboard.press("Space")
    assert headers.last.is_hidden()


def test_table_sorts_by_mouse_and_keyboard(view: OpenPage) -> None:
    names = "#results tbody th"
    assert view.texts(names) == ["video", "audio", "cfnsr"]
    accuracy = view.page.locator("#results thead button", has_text="Accuracy").first
    accuracy.click()
    descending = view.texts(names)
    shares = [float(text) for text in view.texts("#results tbody td:nth-child(2)")]
    assert shares == sorted(shares, reverse=True) and descending[0] == "cfnsr"
    assert view.page.locator("#results th[aria-sort=descending]").inner_text().startswith("Accuracy")
    accuracy.focus()
    view.page.keyboard.press("Enter")
    assert view.texts(names) == descending[::-1]
    view.page.check("#all-columns")
    view.page.locator("#results thead button", has_text="No face").click()
    number = [column.name for column in table.COLUMNS].index("No face") + 1
    column = view.texts(f"#results tbody td:nth-child({number})")
    assert column[1:] == ["–", "–"] and column[0] != "–"  # missing figures come last
    view.page.uncheck("#all-columns")
    view.page.locator("#results thead button", has_text="System").click()
    assert view.texts(names) == ["audio", "cfnsr", "video"]


def confusion(name: str, fold: str, of: str) -> list[str]:
    """Texts of a confusion matrix, counted from the predictions."""
    chosen = made_up_results.predictions(name)
    chosen = chosen[chosen["fold"] == fold] if fold else chosen
    counts = pd.crosstab(chosen["label"], chosen["predicted"]).reindex(
        index=made_up_results.LABELS, columns=made_up_results.LABELS, fill_value=0
    )
    shares = counts.to_numpy(float)
    if of != "clips":
        whole = shares.sum(axis=1 if of == "actual" else 0, keepdims=True)
        shares = np.floor(100 * np.divide(shares, whole, out=np.zeros_like(shares), where=whole > 0) + 0.5)
    return [f"{value:.0f}" for value in shares.flatten()]


def test_confusion_switches_system_fold_and_share(view: OpenPage) -> None:
    choices = [
        ("cfnsr", "", "actual"),
        ("video", "", "actual"),
        ("video", "fold_2", "actual"),
        ("video", "", "predicted"),
        ("audio", "fold_1", "clips"),
    ]
    assert len({tuple(sorted(confusion(*choice))) for choice in choices}) == len(choices)
    selects = [
        view.page.locator(f"[data-for=confusion] select[data-signal={name}]") for name in ("system", "fold", "of")
    ]
    assert selects[0].input_value() == "cfnsr"  # the best comes first
    for choice in choices:
        for select, value in zip(selects, choice, strict=True):
            select.select_option(value)
        view.wait_for_texts("confusion", confusion(*choice))
    assert view.messages == []


def test_reliability_switches_system(view: OpenPage) -> None:
    before = view.page.locator("#chart-reliability svg").inner_html()
    view.page.locator("[data-for=reliability] select").select_option("video")
    view.page.wait_for_function(
        "before => document.querySelector('#chart-reliability svg').innerHTML !== before", arg=before, timeout=10_000
    )
    assert view.messages == []


def test_misclassified_clips_are_shown_on_demand(view: OpenPage) -> None:
    assert not view.page.query_selector_all("img[src]")
    for name in made_up_results.SKILLS:
        details = view.page.locator("details.mistakes", has_text=f"{name}:")
        details.locator("summary").click()
        predictions = made_up_results.predictions(name)
        wrong = predictions[predictions["label"] != predictions["predicted"]]
        assert details.locator("article").count() == min(len(wrong), MOST)
        first = wrong.loc[wrong.filter(like="p_").max(axis=1).idxmax()]
        article = details.locator("article").first
        text = article.inner_text()
        assert f"{first['label']} predicted as {first['predicted']}" in text and first["clip"] in text
        modalities = article.locator(".predictions li")
        assert modalities.count() == (3 if name == "cfnsr" else 2)
        assert f"{100 * first[f'p_{first.predicted}']:.1f} %" in modalities.first.inner_text()
        pictures = article.locator("img")
        assert pictures.count() == (3 if name == "cfnsr" else 2)
        assert pictures.evaluate_all("all => all.every(image => image.complete && image.naturalWidth > 50)")
    assert view.messages == []


def test_page_and_terminal_show_the_same_figures(
    view: OpenPage, figures: Results, out: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "read_times", lambda corpus, root: {"pretrain": (2, 24.68)})
    monkeypatch.setattr(timing, "read_job_times", lambda corpus: {("held_out", "audio"): (2, 12.34)})
    texts = [row.locator("th, td").all_text_contents() for row in view.page.locator("#results tbody tr").all()]
    cells = [table.cells_of(row, table.columns_of(figures.rows)) for row in figures.rows]
    assert sorted(texts) == sorted(cells)
    arguments = ["--params", str(root / "params.yaml"), "--metrics", str(out.parent)]
    lines = CliRunner().invoke(cli.main, ["results", *arguments]).output.splitlines()
    printed = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert all(row in printed for row in cells) and ["audio: a job", "2", "12.3"] in printed
    recalls = pd.read_csv(out / "recall.csv")["recall"]
    assert sorted(view.chart_texts("recall")) == sorted(f"{np.floor(100 * share + 0.5):.0f}" for share in recalls)


def test_faces_can_be_left_out(browser: Browser, shards: Path, tmp_path: Path, figures: Results) -> None:
    made_up_results.write(tmp_path, shards, figures=figures, faces=False)
    with OpenPage(browser, tmp_path / "report.html") as opened:
        opened.open_details()
        texts = {image.get_attribute("alt") for image in opened.page.query_selector_all("img")}
        assert texts == {"Log-mel spectrogram of the voice", "Attention: where in the face the system looks"}
        assert "Faces are not shown" in opened.page.inner_text("#mistakes")
    text = (tmp_path / "report.html").read_text()
    content = re.search(r'<script type="application/json" id="content">(.*?)</script>', text, re.DOTALL)
    assert content is not None
    pictures = json.loads(content[1])["pictures"]
    assert pictures and not [key for key in pictures if key.startswith("faces")]


HOSTILE = [
    "<script>window.hacked=1</script>",
    "</script><script>window.hacked=1</script>",
    "\"><img src=x onerror='window.hacked=1'>",
    "'); window.hacked=1; ('",
    "javascript:window.hacked=1",
]


def test_hostile_names_labels_and_params_do_not_run(browser: Browser, shards: Path, tmp_path: Path) -> None:
    made_up_results.write(
        tmp_path,
        shards,
        labels=HOSTILE,
        skipped={f"01/{HOSTILE[0]}": HOSTILE[2]},
        corpus=HOSTILE[1],
        fingerprint=HOSTILE[2],
        provenance=Provenance(HOSTILE[0], [(HOSTILE[0], HOSTILE[1], HOSTILE[2])]),
    )
    run = tmp_path / "run.html"
    page.with_run_info(tmp_path / "report.html", run, [(HOSTILE[0], HOSTILE[2])])
    with OpenPage(browser, run) as opened:
        opened.open_details()
        for cell in opened.page.query_selector_all("#chart-confusion svg .mark-rect path")[:6]:
            cell.hover(force=True)  # tooltips are made of labels
        assert "window.hacked=1" in opened.page.inner_text("#vg-tooltip-element")
        assert opened.page.evaluate("window.hacked") is None and opened.messages == []
        assert opened.page.locator("script").count() == 3 and not opened.page.query_selector_all("[onerror], [src=x]")
        assert HOSTILE[2] in opened.page.inner_text("#data") and HOSTILE[2] in opened.page.inner_text("#provenance")


def test_scripts_of_others_do_not_run(browser: Browser, out: Path, tmp_path: Path) -> None:
    """Only scripts whose hash the page lists run, even if one found its way in."""
    changed = tmp_path / "changed.html"
    text = (out / "report.html").read_text()
    changed.write_text(text.replace("</main>", "<script>window.hacked=1</script></main>"))
    with OpenPage(browser, changed) as opened:
        assert opened.page.evaluate("window.hacked") is None
        assert any("Content Security Policy" in message for message in opened.messages)


def test_contaminated_rows_are_red_and_last(browser: Browser, shards: Path, tmp_path: Path, figures: Results) -> None:
    rows = [*figures.rows[:2], replace(figures.rows[2], accuracy=1.0, seen="yes")]
    made_up_results.write(tmp_path, shards, figures=replace(figures, rows=rows), faces=False, corpus="ravdess")
    with OpenPage(browser, tmp_path / "report.html") as opened:
        colour = "element => getComputedStyle(element).color"
        names = opened.page.locator("#results tbody th")
        colours = {name.inner_text(): name.evaluate(colour) for name in names.all()}
        assert colours["cfnsr, has seen this corpus"] == "rgb(179, 38, 30)" != colours["video"]
        assert opened.page.locator("#results tbody tr:last-child td").nth(3).evaluate(colour) == "rgb(179, 38, 30)"
        assert opened.page.locator("#results tr.best th").inner_text() == "audio"
        ranked = opened.page.locator("#chart-ranking .role-axis-label text").all_text_contents()
        assert ranked[-3:] == ["audio", "video", "cfnsr"]
        assert opened.page.locator("#published tbody tr").count() == len(published.figures("ravdess")[1])
        assert not [fault for fault in Axe().run(opened.page).response["violations"] if fault["impact"] == "serious"]


def test_imported_networks_may_know_test_speakers(shards: Path, tmp_path: Path, figures: Results) -> None:
    for imported in ("", "fold_1 a.pth (sha256 0123456789ab)"):
        rows = [replace(row, imported=imported) for row in figures.rows]
        made_up_results.write(tmp_path, shards, figures=replace(figures, rows=rows), faces=False)
        text = (tmp_path / "report.html").read_text()
        assert ("speakers whom they were not trained on" in text) == (not imported)
        low, *_, high = sorted((row for row in rows if row.compared), key=lambda row: row.accuracy)
        assert re.search(rf'class="lead">\d+ rows .* % \({low.name}, .* % \({high.name}, ', text)


def test_headline_admits_optimistic_figures(shards: Path, tmp_path: Path, figures: Results) -> None:
    rows = [replace(row, name=f"{row.name}@test_selected", protocol="test_selected") for row in figures.rows]
    made_up_results.write(tmp_path, shards, figures=replace(figures, rows=rows, differences=[]), faces=False)
    text = (tmp_path / "report.html").read_text()
    assert "No figure here is a result" in text and 'id="differences"' not in text
    assert 'href="#differences"' not in text and 'href="#curves"' in text


def test_same_results_give_same_bytes(shards: Path, out: Path, tmp_path: Path) -> None:
    made_up_results.write(tmp_path, shards)
    for name in ("report.html", "report.md", "results.csv"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_run_info_is_added_to_a_copy(out: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run.html"
    page.with_run_info(out / "report.html", copy, [("Commit", "abc"), ("Trained on", "a <machine>")])
    text = copy.read_text()
    assert "<dt>Commit</dt><dd>abc</dd>" in text and "a &lt;machine&gt;" in text
    assert page.RUN_INFO in (out / "report.html").read_text() and page.RUN_INFO not in text
    (tmp_path / "picture.html").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "absent.html", tmp_path / "picture.html", copy):
        with pytest.raises(
            CfnsrError, match=r"is missing, or is not the report's page. Run `cfnsr check --deep --mend`"
        ):
            page.with_run_info(path, tmp_path / "other.html", [])


def test_the_readmes_picture_is_drawn(browser: Browser, out: Path, root: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(root / "docs/draw_report.py")]
    subprocess.run([*command, str(out / "report.html"), str(tmp_path / "report.png")], check=True)
    picture = cv2.imread(str(tmp_path / "report.png"))
    assert picture is not None and picture.shape[1] == 1200 and 300 < picture.shape[0] < 900
    assert (tmp_path / "report.png").stat().st_size < 200_000 and picture.std() > 10
    failed = subprocess.run([*command, "absent.html", "report.png"], capture_output=True, text=True)
    assert failed.returncode == 1 and "run `dvc repro report`" in failed.stderr
