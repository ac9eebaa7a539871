"""The demo's page in a browser: a clip is uploaded, and its probabilities are seen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from cfnsr.inference.card import NOT_FOR, Card, HeldOut
from cfnsr.inference.demo.choices import choices
from cfnsr.inference.demo.limits import Limits
from cfnsr.inference.demo.process import Worker
from tests.inference.conftest import Saved
from tests.report.test_page import ARGUMENTS
from tests.support.demo import running_loop, served

FAKE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
HOSTILE = "<img src=x onerror=alert(1)>.mp4"
END = "#page:not([hidden]), #error:not([hidden])"


def faults(page: Page) -> list[str]:
    response = Axe().run(page).response
    assert len(response["passes"]) > 20
    return [fault["id"] for fault in response["violations"] if fault["impact"] in ("serious", "critical")]


def test_upload_and_recording_show_probabilities(
    saved: Callable[..., Saved], studio_actor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None and "CI" not in os.environ:
        pytest.skip("pages are tested in a real Chromium, which is not installed; .ci/run installs it")
    assert path is not None, "CI installs Chromium"
    monkeypatch.chdir(tmp_path)
    model, _ = saved("averaging", "face_mesh")
    modalities = ["video", "audio"]
    Card(
        "small", corpus="studio", modalities=modalities, held_out=HeldOut(0.5, 0.4, 0.6, 0.5, 64, 8, "held_out")
    ).write(model.parent)
    clip = Path(shutil.copy(sorted(studio_actor.glob("*.mp4"))[0], tmp_path / HOSTILE))
    limits = Limits(1, 1)
    worker = Worker("cpu", limits, str(model))
    messages: list[str] = []
    requests: list[str] = []
    with (
        running_loop() as loop,
        served(worker, tmp_path / "kept", choices=choices([str(model)]), limits=limits, loop=loop) as address,
        sync_playwright() as playwright,
    ):
        loop.run(worker.start())
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *FAKE])
        page = browser.new_page(viewport={"width": 390, "height": 900}, reduced_motion="reduce", color_scheme="dark")
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("dialog", lambda dialog: messages.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        assert page.get_by_text(NOT_FOR).is_visible()
        assert page.get_by_text("50.0 % (40.0–60.0) of 64 clips").is_visible()
        assert page.get_by_role("button", name="Predict").is_disabled()

        page.set_input_files("#file", clip)
        assert HOSTILE in page.inner_text("#chosen")
        page.get_by_role("button", name="Predict").click()
        page.wait_for_selector(END, timeout=60_000)
        result = page.frame_locator("#page")
        assert result.get_by_role("heading", name="Emotions in your recording").is_visible(), page.inner_text("#error")
        assert "happy" in result.locator("main").inner_text() and result.locator(".faces img").count() >= 1
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert faults(page) == []

        page.get_by_role("button", name="Record camera and microphone").click()
        page.get_by_role("button", name="Stop recording").wait_for()
        page.wait_for_timeout(1500)
        page.get_by_role("button", name="Stop recording").click()
        page.wait_for_selector("#predict:enabled")
        page.get_by_label("Voice alone").check()
        page.get_by_role("button", name="Predict").click()
        page.wait_for_selector(END, timeout=60_000)
        assert result.get_by_role("heading", name="Emotions in your recording, the voice alone").is_visible()

        clip.write_text("text")
        page.set_input_files("#file", clip)
        page.get_by_role("button", name="Predict").click()
        page.wait_for_selector(END, timeout=60_000)
        assert "recording: is neither a video nor a sound file" in page.inner_text("#error")
        browser.close()
        loop.run(worker.stop())
    assert messages == []
    assert {url.split("/")[2] for url in requests if not url.startswith(("blob:", "data:", "about:"))} == {address[7:]}
    assert not [*(tmp_path / "kept").iterdir()]
