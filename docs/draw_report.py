"""Draw the pictures of two pages by a headless Chromium: the report's, and that of ``cfnsr predict --page``.

    python docs/draw_report.py metrics/studio/report.html docs/report.png
    python docs/draw_report.py data/studio/raw/01 docs/predict.jpg

The first is the top of the last run's report. The second is what this workspace's best model says of the clips of a
folder, one after another. Needs Chromium and the test requirements (playwright).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

import cfnsr
from cfnsr.inference import page as predictions
from cfnsr.inference.recordings import Recording
from cfnsr.preprocessing import audio, media, video

WIDTH_PX = 1200
MARGIN_PX = 12  # below the last thing drawn
MOST_BYTES = 200_000
JPEG_QUALITY = 80
CLIPS = 8  # of the folder
EVERY_S = 0.5  # from one window to the next
RATE_HZ = 16000


def draw(page: Path, picture: Path) -> None:
    """Draw the top of a page: of the report down to the end of table and chart, of predictions to the first faces.

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
        tab.set_viewport_size({"width": WIDTH_PX, "height": round(_end(tab)) + MARGIN_PX})
        options: dict[str, Any] = {"quality": JPEG_QUALITY} if picture.suffix == ".jpg" else {}
        tab.screenshot(path=str(picture), **options)
        browser.close()
    size = picture.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{picture} has {size:,} bytes, more than {MOST_BYTES:,}: draw fewer rows")


def _end(tab: Page) -> float:
    if tab.locator("#results").count():
        tab.wait_for_selector("body[data-drawn=yes]")
        return tab.evaluate("document.querySelector('#results .overview').getBoundingClientRect().bottom")
    return tab.evaluate("document.querySelector('.faces .clip').getBoundingClientRect().bottom")


def joined(clips: list[Path]) -> Recording:
    """Read clips into one recording, of frames of one size and rate."""
    frames, samples = [], []
    for clip in clips:
        timeline = media.timeline(clip)
        shown = video.frames(clip, timeline, list(range(len(timeline.pts))), decoder="pyav")
        frames += [frame.image for frame in shown]
        of_clip, _ = audio.waveform(clip, timeline, rate_hz=RATE_HZ, offset_s=0.0, window_s=timeline.duration_s)
        samples.append(of_clip)
    rate_hz = media.timeline(clips[0]).frame_rate_hz
    return Recording(np.stack(frames), rate_hz, np.concatenate(samples), RATE_HZ, f"{len(clips)} clips of one speaker")


def predict(folder: Path, page: Path) -> None:
    """Write the page of what the best model says of the clips of a folder."""
    model = cfnsr.load("best", device="cpu")
    run = model.run(joined(sorted(folder.glob("*.mp4"))[:CLIPS]), every_s=EVERY_S, pictures=True)
    rows = list(run)
    page.write_text(predictions.render([predictions.Pictured(run.name, run.duration_s, run.levels, rows)], model))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: python {sys.argv[0]} PAGE-OR-FOLDER PICTURE")
    given, picture = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as temporary:
        page = given
        if given.is_dir():
            page = Path(temporary) / "predictions.html"
            predict(given, page)
        draw(page, picture)
