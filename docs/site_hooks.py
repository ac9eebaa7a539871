"""Make pages of docs/ and of the repository's root into one site: mkdocs.yml names this file.

Links in the pages are those of a git host: relative to the file, also to files outside docs/. Here they become links to
the page that shows the file. MkDocs then refuses links without a target.
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.nav import Link, Navigation
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

ROOT = Path(__file__).parents[1]
MOVED = {
    "README.md": "index.md",
    "docs/index.md": "contents.md",
    "docs/decisions": "decisions/index.md",
    "docs/tutorial.ipynb": "tutorial.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
LINK = re.compile(r"(?<=\]\()[^)\s#:]+(?=[)#])")  # the file that a Markdown link names
PICTURES = {"image/png": ".png", "image/jpeg": ".jpg"}  # in a notebook
API = "api:"  # no file of MkDocs: pdoc writes these pages after it


def on_config(config: MkDocsConfig) -> None:
    """Append the decisions to the navigation."""
    names = sorted(path.name for path in (ROOT / "docs/decisions").glob("*.md"))
    assert config.nav is not None
    config.nav.append({"Decisions": ["decisions/index.md", *(f"decisions/{name}" for name in names)]})


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages that are made of files outside docs/, and of files that pages link to."""
    listing = files.get_file_from_path("index.md")  # gives way to the README, which is the page to begin with
    assert listing is not None
    files.remove(listing)
    for source, page in MOVED.items():
        if source.endswith(".md"):
            files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    files.append(File.generated(config, "decisions/index.md", content=list_decisions()))
    for name, content in notebook_pages(ROOT / "docs/tutorial.ipynb"):
        files.append(File.generated(config, name, content=content))
    for source in sorted(linked_files(files)):
        content = f"---\nsearch: {{exclude: true}}\n---\n# {source}\n\n{fenced(ROOT / source)}"
        files.append(File.generated(config, page_of(source), content=content, inclusion=InclusionLevel.NOT_IN_NAV))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages."""
    source = source_of(page.file)

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[0]))
        if not (ROOT / target).exists():
            return link[0]  # MkDocs reports it
        name = page_of(target)
        return name if name.startswith(API) else posixpath.relpath(name, posixpath.dirname(page.file.src_uri))

    return LINK.sub(moved, markdown) if source else markdown


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to modules at the pages of pdoc."""
    return html.replace(f'href="{API}', f'href="{get_relative_url("api/", page.url)}')


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> None:
    """Add the reference of all modules, above the decisions."""
    nav.items.insert(-1, Link("Reference of all modules", "api/index.html"))


def source_of(file: File) -> str | None:
    """Return the file in the repository that a page is made of; None where hooks have written it."""
    path = file.abs_src_path
    return None if path is None else Path(path).relative_to(ROOT).as_posix()


def page_of(source: str) -> str:
    """Return the page, relative to the site, that shows a file or folder of the repository."""
    if source in MOVED:
        return MOVED[source]
    if source.startswith("docs/"):
        return source.removeprefix("docs/")
    if source.endswith(".py") or (ROOT / source / "__init__.py").is_file():
        return f"{API}{source.removesuffix('.py').removesuffix('/__init__')}.html"
    return f"files/{source.lstrip('.')}.md"


def linked_files(files: Files) -> set[str]:
    """Return the files that some page links to and that are no pages, relative to the repository."""
    linked = set()
    for file in files.documentation_pages():
        source = source_of(file)
        for link in LINK.findall(file.content_string) if source else ():
            target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
            if (ROOT / target).is_file() and page_of(target).startswith("files/"):
                linked.add(target)
    return linked


def list_decisions() -> str:
    """Write the page that lists all decisions by title."""
    lines = ["# Decisions", "", "Why the project is built in this way.", ""]
    for path in sorted((ROOT / "docs/decisions").glob("*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines)


def notebook_pages(path: Path) -> Iterator[tuple[str, str | bytes]]:
    """Yield the files that show a notebook, name and content: its pictures, then the page."""
    parts = []
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        magic, _, commands = source.partition("\n")
        parts.append(block(commands, "bash") if magic.startswith("%%bash") else block(source, "python"))
        for output in cell["outputs"]:
            data, metadata = output.get("data", {"text/plain": output.get("text", "")}), output.get("metadata", {})
            picture = next((kind for kind in PICTURES if kind in data), None)
            if picture is None:
                parts.append(block("".join(data["text/plain"]), "text"))
            else:
                name = f"{path.stem}_{number}{PICTURES[picture]}"
                yield name, base64.b64decode(data[picture])
                parts.append(f"![{metadata.get(picture, {}).get('alt', '')}]({name})")
    yield f"{path.stem}.md", "\n\n".join(parts) + "\n"


def fenced(path: Path) -> str:
    """Show a text file as a block of code."""
    return block(path.read_text(encoding="utf-8"), "yaml" if path.suffix in (".yaml", ".yml") else "text")


def block(text: str, language: str) -> str:
    """Return text as a block of code."""
    return f"~~~~~~~~ {language}\n{text}\n~~~~~~~~\n"
