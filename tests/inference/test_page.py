"""The page of what a model says, in a browser without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from cfnsr.inference import page
from cfnsr.inference.card import NOT_FOR, Card, HeldOut
from cfnsr.inference.page import Pictured, timeline
from tests.report.test_page import browser
from tests.support import made_up_rows

__all__ = ["browser"]  # a fixture

LEVELS = np.abs(np.sin(np.arange(400) / 20)).astype(np.float32)
CARD = Card(
    "small", corpus="studio", labels=made_up_rows.LABELS, held_out=HeldOut(0.5, 0.4, 0.6, 0.49, 64, 8, "held_out")
)
HOSTILE = "<img src=x onerror=window.hacked=1>.mp4"


def model(card: Card = CARD, labels: Sequence[str] = made_up_rows.LABELS) -> Any:
    return SimpleNamespace(card=card, labels=list(labels), modalities=["video", "audio"])


def recording(name: str = "talk.mp4", count: int = 6, **options: Any) -> Pictured:
    return Pictured(name, float(count), LEVELS, made_up_rows.rows(name, count, **options))


def write(path: Path, *recordings: Pictured, of: Any = None, failed: dict[str, str] | None = None) -> Path:
    path.write_text(page.render(recordings, of or model(), failed))
    return path


class OpenPage:
    """A page as a reader sees it."""

    def __init__(self, browser: Browser, path: Path, width: int = 1400, scheme: Any = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        self.page: Page = self.context.new_page()
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def __enter__(self) -> OpenPage:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def open_details(self) -> None:
        self.page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")

    def overflow(self) -> int:
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (1400, "dark"), (390, "light")])
def test_page_is_offline_fits_and_is_accessible(browser: Browser, tmp_path: Path, width: int, scheme: str) -> None:
    path = write(tmp_path / "page.html", recording(people=(0, 1)), recording("other.mp4", 14))
    with OpenPage(browser, path, width, scheme) as opened:
        opened.open_details()
        assert opened.messages == [] and opened.overflow() <= 0
        assert [url for url in opened.requests if not url.startswith("data:")] == [path.as_uri()]
        response = Axe().run(opened.page).response
        assert len(response["passes"]) > 20 and response["violations"] == []
        broken = "[...document.images].filter(image => !image.complete || !image.naturalWidth).length"
        assert opened.page.locator("img").count() > 40 and opened.page.evaluate(broken) == 0
        cut = """[...document.querySelectorAll('.over-time > span, .axis span, .clip li')].filter(
            element => element.scrollWidth > element.clientWidth + 1 && element.clientWidth).length"""
        assert opened.page.evaluate(cut) == 0


def test_hostile_names_labels_and_cards_run_nothing(browser: Browser, tmp_path: Path) -> None:
    labels = [f"{HOSTILE}{number}" for number in range(3)]
    card = replace(CARD, name=HOSTILE, corpus=HOSTILE, not_for=HOSTILE, labels=labels)
    hostile = recording(HOSTILE, classes=3)
    path = write(tmp_path / "page.html", hostile, of=model(card, labels), failed={HOSTILE: HOSTILE})
    with OpenPage(browser, path, 390) as opened:
        opened.open_details()
        assert opened.page.evaluate("window.hacked") is None and opened.messages == [] and opened.overflow() <= 0
        assert opened.page.locator("img[onerror], img[src=x], script").count() == 0
        assert HOSTILE in opened.page.inner_text("h1") and opened.page.inner_text("#worth").count(HOSTILE) >= 4


def test_page_says_what_it_is_worth_and_what_is_missing(browser: Browser, tmp_path: Path) -> None:
    path = write(tmp_path / "page.html", recording(), failed={"bad.mp4": "cannot be read"})
    with OpenPage(browser, path) as opened:
        opened.open_details()
        text = opened.page.inner_text("body")
        assert f"{NOT_FOR}." in text and "50.0 % (40.0–60.0)" in text and "bad.mp4: cannot be read" in text
        assert "a small change there would change it most" in text and "the voice alone" in text
        marks = opened.page.locator(".over-time > span", has_text="no face")
        assert marks.count() == 1 and text.count("far from the training clips") == 2
        assert opened.page.locator(".faces .clip").count() == 5 and opened.page.locator(".film img").count() == 6
        cells = opened.page.locator("tbody tr").nth(1).locator("td").all_inner_texts()
        assert cells[0] in made_up_rows.LABELS and cells[-3] == "face"
        assert sum(int(cell) for cell in cells[1:5]) == pytest.approx(100, abs=2)


def test_long_recordings_of_several_people_stay_small(browser: Browser, tmp_path: Path) -> None:
    path = write(tmp_path / "page.html", recording(count=700, people=(0, 1, 2)))
    assert path.stat().st_size < 5e6
    with OpenPage(browser, path, 390) as opened:
        titles = opened.page.locator("#recording-1 h3").all_inner_texts()
        assert titles[:4] == ["Person 0", "Person 1", "Person 2", "Nobody seen"]
        assert opened.page.locator("#recording-1 .faces .clip").count() == 40
        assert opened.page.locator("#recording-1 .film li").count() == 12 and opened.overflow() <= 0
        assert opened.page.locator("#recording-1 .film li:visible").count() == 4


def test_page_does_without_pictures_sound_and_attention() -> None:
    blind = replace(recording(pictures=False), levels=np.zeros(0, np.float32))
    text = page.render([blind], model())
    assert "<img" not in text and 'class="sound"' not in text and "Faces as" not in text
    assert "This kind of model has no attention map" in page.render([recording(attends=False)], model())
    assert "No recording was read" in page.render([], model(), {"bad.mp4": "cannot be read"})


def test_probabilities_are_drawn_as_steps() -> None:
    rows = [replace(row, is_far=False) for row in made_up_rows.rows("", 4, pictures=False)]
    certain = np.log(np.array([0.75, 0.25, 1e-9, 1e-9], np.float32))
    rows = [replace(row, opinion=replace(row.opinion, fused=certain, audio=None, video=None)) for row in rows]
    rows[2] = replace(rows[2], opinion=type(rows[2].opinion)())
    neutral, happy, *_ = timeline.bands(rows, made_up_rows.LABELS, 4.0)
    assert neutral.shares == neutral.answers == "M0 100V25H500V25H1000V100ZM1500 100V25H2000V100Z"
    assert happy.answers == "" and happy.shares.startswith("M0 100V75") and (happy.face, happy.voice) == ("", "")
    assert [(mark.label, mark.spans) for mark in timeline.marks(rows, 4.0)] == [
        ("no face", [(500, 500)]),
        ("no voice", [(1000, 500)]),
    ]


@pytest.mark.parametrize(
    ("duration_s", "last"), [(2.4, "2 s"), (59, "50 s"), (67, "1:00"), (690, "10:00"), (86_400, "1440:00")]
)
def test_axis_has_few_round_times(duration_s: float, last: str) -> None:
    ticks = timeline.ticks(duration_s)
    assert 3 <= len(ticks) <= 7 and ticks[-1][1] == last and 0 <= ticks[-1][0] <= 100
