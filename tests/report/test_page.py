"""The page, in a real browser without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner
from playwright.sync_api import Browser, Page, sync_playwright
from sklearn.metrics import accuracy_score, f1_score, recall_score

from cfnsr import cli
from cfnsr.errors import CfnsrError
from cfnsr.report import page, table
from cfnsr.report.page import cases
from cfnsr.report.page.provenance import Origin, origin
from cfnsr.report.page.shown import Shown
from tests.support import corpus, shown
from tests.support.repository import Repository

CHARTS = ["ranking", "confusion", "recall", "loss", "accuracy", "reliability", "modalities", "speakers"]
# As root a browser's own sandbox does not start; and it is to keep still about updates.
QUIET = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None and "CI" not in os.environ:
        pytest.skip("there is no Chromium")
    assert found is not None, "CI installs Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus.write(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def written(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    shown.write(out, shards)
    return out / "report.html"


class Opened:
    """A page as a reader sees it, and all that it said and asked for meanwhile."""

    def __init__(self, browser: Browser, path: Path, width: int = 1400, scheme: Any = "light") -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, reduced_motion="reduce"
        )
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("body[data-drawn=yes]", timeout=30_000)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def texts(self, selector: str) -> list[str]:
        return self.page.locator(selector).all_inner_texts()

    def cells(self, chart: str) -> list[str]:
        """The texts written into a chart's cells."""
        return self.page.locator(f"#chart-{chart} svg .mark-text.role-mark text").all_text_contents()


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (1400, "dark"), (390, "light")])
def test_it_opens_without_a_network_says_nothing_and_draws_every_chart(
    browser: Browser, written: Path, width: int, scheme: str
) -> None:
    with Opened(browser, written, width, scheme) as opened:
        assert opened.said == []
        assert [url for url in opened.asked if not url.startswith("data:")] == [written.as_uri()]
        assert [one.get_attribute("data-chart") for one in opened.page.query_selector_all("[data-chart]")] == CHARTS
        for name in CHARTS:
            marks = opened.page.locator(f"#chart-{name} svg .role-mark path, #chart-{name} svg .role-mark line")
            assert marks.count() >= 1, name
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert written.stat().st_size < 5e6


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (1400, "dark"), (390, "light")])
def test_an_accessibility_checker_finds_no_serious_fault(
    browser: Browser, written: Path, width: int, scheme: str
) -> None:
    with Opened(browser, written, width, scheme) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        found = Axe().run(opened.page).response
        assert len(found["passes"]) > 20
        faults = {
            one["id"]: one["nodes"][0]["html"]
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        }
        assert not faults


def test_the_table_sorts_by_mouse_and_by_keyboard(browser: Browser, written: Path) -> None:
    with Opened(browser, written) as opened:
        names = "#results tbody th"
        assert opened.texts(names) == ["video", "audio", "cfnsr"]
        accuracy = opened.page.locator("#results thead button", has_text="Accuracy").first
        accuracy.click()
        falling = opened.texts(names)
        shares = [float(one) for one in opened.texts("#results tbody td:nth-child(2)")]
        assert shares == sorted(shares, reverse=True) and falling[0] == "cfnsr"
        assert opened.page.locator("#results th[aria-sort=descending]").inner_text().startswith("Accuracy")
        accuracy.focus()
        opened.page.keyboard.press("Enter")
        assert opened.texts(names) == falling[::-1]
        opened.page.locator("#results thead button", has_text="No face").click()
        column = opened.texts("#results tbody td:nth-child(14)")
        assert column[1:] == ["–", "–"] and column[0] != "–"  # what is not there goes last
        opened.page.locator("#results thead button", has_text="System").click()
        assert opened.texts(names) == ["audio", "cfnsr", "video"]


def test_the_confusion_matrix_switches_system_fold_and_normalisation(browser: Browser, written: Path) -> None:
    labels = ["calm", "angry", "happy", "sad"]

    def expected(name: str, fold: str, of: str) -> list[str]:
        chosen = shown.predicted(name, labels)
        chosen = chosen[chosen["fold"] == fold] if fold else chosen
        counts = np.array(
            [[((chosen["label"] == a) & (chosen["predicted"] == p)).sum() for p in labels] for a in labels], float
        )
        if of != "clips":
            whole = counts.sum(axis=1 if of == "actual" else 0, keepdims=True)
            counts = np.floor(100 * np.divide(counts, whole, out=np.zeros_like(counts), where=whole > 0) + 0.5)
        return sorted(f"{value:.0f}" for value in counts.flatten())

    with Opened(browser, written) as opened:
        name, fold, of = (
            opened.page.locator(f"[data-for=confusion] select[data-signal={one}]") for one in ("system", "fold", "of")
        )
        assert name.input_value() == "cfnsr"  # the best comes first
        seen = []
        for choice in (
            ("cfnsr", "", "actual"),
            ("video", "", "actual"),
            ("video", "fold_2", "actual"),
            ("video", "", "predicted"),
            ("audio", "fold_1", "clips"),
        ):
            for place, value in zip((name, fold, of), choice, strict=True):
                place.select_option(value)
            opened.page.wait_for_timeout(150)
            seen.append(sorted(opened.cells("confusion")))
            assert seen[-1] == expected(*choice), choice
        assert len({tuple(one) for one in seen}) == len(seen)
        before = opened.page.locator("#chart-reliability svg").inner_html()
        opened.page.locator("[data-for=reliability] select").select_option("video")
        opened.page.wait_for_timeout(150)
        assert opened.page.locator("#chart-reliability svg").inner_html() != before
        assert opened.said == []


def test_what_a_system_gets_wrong_is_shown_when_asked_for(browser: Browser, written: Path) -> None:
    with Opened(browser, written) as opened:
        assert not opened.page.query_selector_all("img[src]")
        for name in shown.SKILLS:
            details = opened.page.locator("details.mistakes", has_text=f"{name}:")
            details.locator("summary").click()
            chosen = shown.predicted(name, ["calm", "angry", "happy", "sad"])
            wrong = chosen[chosen["label"] != chosen["predicted"]]
            assert details.locator("article").count() == min(len(wrong), cases.MOST)
            first = wrong.loc[wrong.filter(like="p_").max(axis=1).idxmax()]
            told = details.locator("article").first.inner_text()
            assert f"{first['label']} taken for {first['predicted']}" in told and first["clip"] in told
            opinions = details.locator("article").first.locator(".opinions li")
            assert opinions.count() == (3 if name == "cfnsr" else 2)
            assert f"{100 * first[f'p_{first.predicted}']:.1f} %" in opinions.first.inner_text()
            pictures = details.locator("article").first.locator("img")
            assert pictures.count() == (3 if name == "cfnsr" else 2)
            assert pictures.evaluate_all("all => all.every(one => one.complete && one.naturalWidth > 50)")
        assert opened.said == []


def test_faces_are_left_out_where_they_may_not_be_shown(shards: Path, tmp_path: Path, browser: Browser) -> None:
    shown.write(tmp_path, shards, faces=False)
    with Opened(browser, tmp_path / "report.html") as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        told = {one.get_attribute("alt") for one in opened.page.query_selector_all("img")}
        assert told == {"Log-mel spectrogram of the voice", "Where in the face the voice looks"}
        assert "Faces are not shown" in opened.page.inner_text("#mistakes")
    pictures = json.loads(content(tmp_path / "report.html"))["pictures"]
    assert pictures and not [key for key in pictures if key.startswith("faces")]


def content(path: Path) -> str:
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found
    return found[1]


HOSTILE = [
    "<script>window.hacked=1</script>",
    "</script><script>window.hacked=1</script>",
    "\"><img src=x onerror='window.hacked=1'>",
    "'); window.hacked=1; ('",
    "javascript:window.hacked=1",
]


def test_hostile_names_labels_and_params_do_not_run(browser: Browser, shards: Path, tmp_path: Path) -> None:
    hostile = shown.write(
        tmp_path,
        shards,
        labels=HOSTILE,
        skipped={f"01/{HOSTILE[0]}": HOSTILE[2]},
        corpus=HOSTILE[1],
        fingerprint=HOSTILE[2],
        origin=Origin(HOSTILE[0], [(HOSTILE[0], HOSTILE[1], HOSTILE[2])]),
    )
    assert hostile.rows
    with Opened(browser, tmp_path / "report.html") as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        for cell in opened.page.query_selector_all("#chart-confusion svg .mark-rect path")[:6]:
            cell.hover(force=True)  # tooltips are made of labels
        assert "window.hacked=1" in opened.page.inner_text("#vg-tooltip-element")
        assert opened.page.evaluate("window.hacked") is None and opened.said == []
        assert opened.page.locator("script").count() == 3 and not opened.page.query_selector_all("[onerror], [src=x]")
        assert HOSTILE[2] in opened.page.inner_text("#data")
    run = tmp_path / "run.html"
    page.with_run_info(tmp_path / "report.html", run, [(HOSTILE[0], HOSTILE[2])])
    with Opened(browser, run) as opened:
        assert opened.page.evaluate("window.hacked") is None and HOSTILE[2] in opened.page.inner_text("#provenance")


def test_a_script_that_is_not_ours_would_not_run(browser: Browser, written: Path, tmp_path: Path) -> None:
    """Even if something slipped through: scripts run by their hash alone."""
    slipped = tmp_path / "slipped.html"
    slipped.write_text(written.read_text().replace("</main>", "<script>window.hacked=1</script></main>"))
    with Opened(browser, slipped) as opened:
        assert opened.page.evaluate("window.hacked") is None
        assert any("Content Security Policy" in one for one in opened.said)


def test_what_an_imported_network_has_seen_is_not_claimed(shards: Path, tmp_path: Path) -> None:
    known = shown.manifest(["calm", "angry", "happy", "sad"])
    found = shown.made(known.labels, known)
    for imported in ("", "fold_1 a.pth (sha256 0123456789ab)"):
        rows = [replace(line, imported=imported) for line in found.rows]
        page.write(
            tmp_path / "report.html",
            replace(found, rows=rows),
            known,
            Shown(shards, shown.ACTORS, faces=False),
            Origin("tiny", []),
        )
        assert ("never saw" in (tmp_path / "report.html").read_text()) == (not imported)


def test_the_same_results_make_the_same_bytes(shards: Path, written: Path, tmp_path: Path) -> None:
    shown.write(tmp_path, shards)
    assert (tmp_path / "report.html").read_bytes() == written.read_bytes()


def test_files_terminal_and_both_pages_show_the_same_figures(
    browser: Browser, shards: Path, tmp_path: Path, root: Path
) -> None:
    """And the figures are those of the predictions, by scikit-learn."""
    out = tmp_path / "metrics/studio"
    found = shown.write(out, shards)
    labels = ["calm", "angry", "happy", "sad"]
    printed = CliRunner(env={"COLUMNS": "250"}).invoke(
        cli.main, ["results", "--params", str(root / "params.yaml"), "--metrics", str(tmp_path / "metrics")]
    )
    assert printed.exit_code == 0, printed.output
    in_terminal = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in printed.output.splitlines()
        if line.startswith("│")
    ]
    in_markdown = [
        line.strip("| ").split(" | ") for line in (out / "report.md").read_text().splitlines() if line.startswith("|")
    ]
    with Opened(browser, out / "report.html") as opened:
        on_page = [row.locator("th, td").all_inner_texts() for row in opened.page.locator("#results tbody tr").all()]
        matrix = opened.cells("recall")
    assert len(on_page) == 3
    for line, shown_row in zip(found.rows, on_page, strict=True):
        assert shown_row == table.cells_of(line) and shown_row in in_terminal and shown_row in in_markdown
        chosen = shown.predicted(line.name, labels)
        actual, taken = chosen["label"], chosen["predicted"]
        assert shown_row[1] == f"{100 * accuracy_score(actual, taken):.1f}"
        assert shown_row[5] == f"{100 * recall_score(actual, taken, average='macro'):.1f}"
        assert shown_row[6] == f"{100 * f1_score(actual, taken, average='macro'):.1f}"
        measured = json.loads((out / "metrics.json").read_text())
        assert measured["accuracy"][line.name] == round(line.accuracy, 4)
    written = pd.read_csv(out / "recall.csv")["recall"]
    assert sorted(matrix) == sorted(f"{np.floor(100 * share + 0.5):.0f}" for share in written)


def test_the_copy_with_run_info_is_the_page_and_the_info(written: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.html"
    page.with_run_info(written, out, [("Commit", "abc"), ("Trained on", "a <machine>")])
    told = out.read_text()
    assert "<dt>Commit</dt><dd>abc</dd>" in told and "a &lt;machine&gt;" in told
    assert page.RUN_INFO in written.read_text() and page.RUN_INFO not in told
    for nothing in (tmp_path / "absent.html", out):
        with pytest.raises(CfnsrError, match=r"is missing, or no page of ours. Run `dvc repro report`"):
            page.with_run_info(nothing, tmp_path / "other.html", [])


def test_dvcs_plots_draw_without_a_network(browser: Browser, finished: Repository, tmp_path: Path) -> None:
    there = finished.copy(tmp_path / "there")
    said = there.run("cfnsr", "offline-plots")
    assert said == "DVC draws its plots with .dvc/tmp/plots.html\n" and not there.run("git", "status", "--porcelain")
    there.run("dvc", "plots", "show", "-o", "drawn")
    context = browser.new_context(offline=True)
    opened, wrong, asked = context.new_page(), [], []
    # Vega warns of what DVC's own templates say; that is not ours to mend.
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    address = (there.folder / "drawn/index.html").as_uri()
    opened.goto(address)
    plots = opened.locator("body > div")
    assert plots.count() == 10
    opened.wait_for_function("document.querySelectorAll('svg.marks').length == 10")
    drawn = plots.filter(has=opened.locator("svg.marks")).evaluate_all("all => all.map(one => one.offsetHeight)")
    assert len(drawn) == 10 and min(drawn) > 80
    assert (wrong, asked) == ([], [address])
    context.close()


def test_offline_plots_are_made_in_a_repository_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(cli.main, ["offline-plots"])
    assert told.exit_code == 1 and ".dvc/config: is missing. Run from the repository's root" in told.output


def test_a_frame_of_the_users_own_stays(finished: Repository, tmp_path: Path) -> None:
    there = finished.copy(tmp_path / "there")
    there.run("dvc", "config", "--local", "plots.html_template", "mine.html")
    assert there.run("cfnsr", "offline-plots") == "DVC draws its plots with mine.html\n"
    assert there.run("dvc", "config", "plots.html_template").strip() == "mine.html"
    there.run("dvc", "config", "--local", "--unset", "plots.html_template")
    for _ in range(2):
        assert there.run("cfnsr", "offline-plots") == "DVC draws its plots with .dvc/tmp/plots.html\n"


def test_the_nearest_preset_is_told_and_what_differs_from_it(root: Path) -> None:
    from cfnsr import config

    shipped = config.load(root / "params.yaml").of_result()
    assert origin(shipped, root / "presets") == Origin("studio", [])
    changed = {**shipped, "train": {**shipped["train"], "clip_norm": 1.5}}
    assert origin(changed, root / "presets") == Origin("studio", [("train.clip_norm", "0.0", "1.5")])
    other = {**shipped, "run": {**shipped["run"], "protocols": ["held_out", "test_selected"]}}
    assert origin(other, root / "presets").preset == "published"
