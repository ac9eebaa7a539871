"""Draw the README's picture of the report: headline, table and ranking of the last run, by a headless Chromium.

    python docs/draw_report.py metrics/studio/report.html docs/report.png

Needs Chromium and the test requirements (playwright).
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTH_PX = 1200
MARGIN_PX = 12  # below the table and the chart
MOST_BYTES = 200_000


def draw(page: Path, picture: Path) -> None:
    """Draw the top of the report's page, down to the end of the table and the chart.

    Raises:
        SystemExit: there is no Chromium or no page, or the picture is too large for a README.
    """
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None or not page.is_file():
        sys.exit(f"{page} and Chromium are needed: run `dvc repro report`, or `dvc checkout`; install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH_PX, "height": 900}, color_scheme="light")
        tab.goto(page.resolve().as_uri())
        tab.wait_for_selector("body[data-drawn=yes]")
        end = tab.evaluate("document.querySelector('#results .overview').getBoundingClientRect().bottom")
        tab.set_viewport_size({"width": WIDTH_PX, "height": round(end) + MARGIN_PX})
        tab.screenshot(path=str(picture))
        browser.close()
    size = picture.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{picture} has {size:,} bytes, more than {MOST_BYTES:,}: draw fewer rows")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: python {sys.argv[0]} PAGE PICTURE")
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
