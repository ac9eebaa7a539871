"""The site that `make docs` builds: complete, without another server, and usable from a folder."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.conftest import made_once
from tests.report.test_page import browser as browser  # Chromium, or a skip
from tests.support.repository import ROOT

LOADED = {"src", "srcset", "poster", "data"}  # attributes whose address a browser fetches by itself
IN_STYLES = re.compile(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)")
MOST_BYTES, MOST_BYTES_OF_ALL = 200_000, 600_000  # of the pictures of docs/


class Addresses(HTMLParser):
    """The addresses in a page: of what is loaded with it, and of links in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.navigation: list[str] = []
        self.open_navs: list[str] = []
        text = page.read_text(encoding="utf-8")
        self.loaded += IN_STYLES.findall(text)
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.loaded += [given[name] for name in LOADED & given.keys()]
        if tag == "link":
            self.loaded.append(given["href"])
        if tag == "nav":
            self.open_navs.append(given.get("class", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
            if any("md-nav--primary" in classes for classes in self.open_navs):
                self.navigation.append(given["href"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "nav":
            self.open_navs.pop()


def build(folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # as in the Makefile
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def make_site(folder: Path) -> None:
    built = build(ROOT, folder)
    assert built.returncode == 0 and "WARNING" not in built.stderr, built.stderr


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "site", make_site)


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[str, Addresses]:
    return {path.relative_to(site).as_posix(): Addresses(path) for path in site.rglob("*.html")}


def of_other_servers(pages: dict[str, Addresses]) -> set[str]:
    return {url for page in pages.values() for url in page.loaded if urlsplit(url).netloc}


def test_nothing_is_loaded_from_another_server(site: Path, pages: dict[str, Addresses]) -> None:
    assert len(pages) > 40 and len(pages["index.html"].loaded) > 5
    assert of_other_servers(pages) == set()
    styles = [*site.rglob("*.css"), *site.rglob("*.svg")]
    assert len(styles) > 4
    for path in styles:
        assert IN_STYLES.findall(path.read_text(encoding="utf-8")) == [], path.name


def test_every_page_is_in_the_navigation(pages: dict[str, Addresses]) -> None:
    shown = {*pages["index.html"].navigation, "index.html"}
    written = {path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert len(written) > 30
    assert written - {"index.html"} <= shown
    assert {"contents.html", "contributing.html", "changelog.html", "api/index.html"} <= shown


def test_every_link_has_a_target(site: Path, pages: dict[str, Addresses]) -> None:
    modules = 0
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or not parts.path or name == "404.html":
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path)))
            if target.startswith("api/") and target != "api/index.html":  # pdoc writes a page of each module
                module = ROOT / target.removeprefix("api/").removesuffix(".html")
                assert (module / "__init__.py").is_file() or module.with_suffix(".py").is_file(), f"{name}: {link}"
                modules += 1
            elif target != "api/index.html":
                assert target == "." or (site / target).is_file(), f"{name}: {link}"
    assert modules >= 1


def test_a_broken_link_is_refused(tmp_path: Path) -> None:
    for name in ("docs", "metrics", ".github"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("mkdocs.yml", "params.yaml", "LICENSE", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "cfnsr/models/fusion").mkdir(parents=True)
    (tmp_path / "cfnsr/models/fusion/__init__.py").touch()
    broken = {"docs/data.md": "../params.yml", "README.md": "docs/datas.md", "CONTRIBUTING.md": "docs/data.md#colums"}
    for page, link in broken.items():
        with (tmp_path / page).open("a", encoding="utf-8") as file:
            file.write(f"\n[broken]({link})\n")
    (tmp_path / "docs/forgotten.md").write_text("# Forgotten\n", encoding="utf-8")
    built = build(tmp_path, tmp_path / "site")
    assert built.returncode == 1
    for word in ("../params.yml", "datas.md", "#colums", "forgotten.md"):
        assert word in built.stderr
    assert built.stderr.count("WARNING") == len(broken) + 1


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("name", ["index.html", "gallery.html"])
def test_a_page_opens_from_a_folder(browser: Browser, site: Path, name: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, reduced_motion="reduce")
    page = context.new_page()
    messages, requests = [], []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((site / name).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    response = Axe().run(page, options={"preload": False}).response
    assert [violation["id"] for violation in response["violations"]] == [] and len(response["passes"]) > 15
    if width == 390:
        page.locator("label[for=__search]:visible").first.click()
    page.locator("input[name=query]").press_sequentially("permutation")
    page.wait_for_selector(".md-search-result__item a[href*='permutation']")
    assert messages == [] and len(requests) > 5
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    context.close()


def test_pictures_are_small() -> None:
    sizes = {
        path.name: path.stat().st_size for suffix in ("png", "jpg", "svg") for path in ROOT.glob(f"docs/**/*.{suffix}")
    }
    assert {"report.png", "faces.jpg", "confusion.svg"} <= sizes.keys()
    assert max(sizes.values()) <= MOST_BYTES and sum(sizes.values()) <= MOST_BYTES_OF_ALL
    page = (ROOT / "docs/gallery.md").read_text(encoding="utf-8")
    assert all(f"{name})" in page for name in sizes)


def test_the_reference_builds_without_a_warning(tmp_path: Path) -> None:
    (command,) = re.findall(r"^\tpython (-W error -m pdoc .+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    words = command.replace("build/site/api", str(tmp_path)).split()
    words.insert(words.index("pdoc") + 1, "--no-show-source")  # colouring all code is a fifth of the time
    subprocess.run([sys.executable, *words], check=True, cwd=ROOT)
    written = {str(path.relative_to(tmp_path).with_suffix("")).replace("/", ".") for path in tmp_path.rglob("*.html")}
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in ("cfnsr", "stages")
        for path in (ROOT / package).rglob("*.py")
    }
    assert modules - {"cfnsr.models.published.names"} <= written  # its package tells all there is, in __all__
    some = {name: Addresses(tmp_path / name) for name in ("index.html", "cfnsr/models/checkpoint.html")}
    assert of_other_servers(some) == set()
    assert "../index.html" in some["index.html"].links
    assert "../../../index.html" in some["cfnsr/models/checkpoint.html"].links
