"""Draw the packages and their imports into docs/architecture.svg: ``python docs/draw_architecture.py``.

Rows are the layers of pyproject.toml; an arrow says that a module of one package imports a module of the other.
"""

from __future__ import annotations

import ast
import tomllib
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs/architecture.svg"

BOX_WIDTH, BOX_HEIGHT, GAP, ROW_HEIGHT, MARGIN = 250, 66, 40, 112, 24  # pixels
MANY = 6  # imports of a package, from which on they are listed and not drawn
WIDTH = 4 * BOX_WIDTH + 3 * GAP + 2 * MARGIN


def layers() -> list[list[str]]:
    """Read the rows of packages, the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    rows = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[package.strip() for package in row.split(":")] for row in rows]


def summary(package: str) -> str:
    """Read the first line of a package's docstring."""
    path = ROOT / package.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").splitlines()[0]


def imports(packages: list[str]) -> list[tuple[str, str]]:
    """List the pairs of packages of which the first imports the second."""
    graph = grimp.build_graph("cfnsr", "stages", cache_dir=None)
    pairs = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            ends = [
                next((one for one in packages if f"{name}.".startswith(f"{one}.")), None) for name in (module, imported)
            ]
            if None not in ends and ends[0] != ends[1]:
                pairs.add((str(ends[0]), str(ends[1])))
    return sorted(pairs)


def wrapped(text: str, width: int = 40) -> list[str]:
    """Break a sentence into lines of at most ``width`` characters."""
    lines = [""]
    for word in text.rstrip(".").split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def draw() -> str:
    """Draw the picture as SVG. A package of many imports is a wide box that lists them; the others have arrows."""
    rows = layers()
    pairs = imports([package for row in rows for package in row])
    # a wide box fills its row
    listed = {package: listing(package, pairs) if len(row) == 1 else "" for row in rows for package in row}
    corner: dict[str, tuple[float, float]] = {}
    for number, row in enumerate(rows):
        left = (WIDTH - len(row) * BOX_WIDTH - (len(row) - 1) * GAP) / 2
        for column, package in enumerate(row):
            x = MARGIN if listed[package] else left + column * (BOX_WIDTH + GAP)
            corner[package] = (x, MARGIN + number * ROW_HEIGHT)
    height = 2 * MARGIN + (len(rows) - 1) * ROW_HEIGHT + BOX_HEIGHT
    arrows = [pair for pair in pairs if not listed[pair[0]] and not listed[pair[1]]]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
            ' role="img">',
            "<title>The packages of cfnsr and their imports</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
            '<path d="M0 0 8 4 0 8z" fill="#5c6b85"/></marker></defs>',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            *(arrow(corner[upper], corner[lower]) for upper, lower in arrows),
            *(box(package, *corner[package], listed[package]) for package in corner),
            "</svg>",
            "",
        ]
    )


def listing(package: str, pairs: list[tuple[str, str]]) -> str:
    """Say in words what a package imports or is imported by, where arrows would be too many to follow; else nothing."""
    below, above = ([pair[1 - end].removeprefix("cfnsr.") for pair in pairs if pair[end] == package] for end in (0, 1))
    if len(below) >= MANY:
        return f"imports {', '.join(below)}"
    return f"imported by {', '.join(above)}" if len(above) >= MANY else ""


def arrow(upper: tuple[float, float], lower: tuple[float, float]) -> str:
    """Draw an arrow from the bottom of one box to the top of another; one that passes a row bends around its boxes."""
    (x1, y1), (x2, y2) = upper, lower
    span = (y2 - y1) / ROW_HEIGHT
    start, end = x1 + BOX_WIDTH / 2 + 24 * (span - 1), x2 + BOX_WIDTH / 2 + 24 * (span - 1)
    bend = 0 if span == 1 else (0.62 * BOX_WIDTH if x1 + x2 > WIDTH - BOX_WIDTH else -0.62 * BOX_WIDTH)
    first, second = y1 + BOX_HEIGHT, y2 - 3
    middle = (second - first) / 2
    return (
        f'<path d="M{start:g} {first:g}'
        f'C{start + bend:g} {first + middle:g} {end + bend:g} {second - middle:g} {end:g} {second:g}" '
        'fill="none" stroke="#5c6b85" stroke-opacity="0.75" marker-end="url(#tip)"/>'
    )


def box(package: str, x: float, y: float, listed: str) -> str:
    """Draw one package with its name, its summary and, in a wide box, what it imports or is imported by."""
    width = WIDTH - 2 * MARGIN if listed else BOX_WIDTH
    lines = [summary(package), listed] if listed else wrapped(summary(package))[:2]
    text = "".join(
        f'<text x="{x + 12:g}" y="{y + 40 + 15 * number:g}" font-size="11" fill="#3b4660">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width}" height="{BOX_HEIGHT}" rx="6" fill="#eef3fb" stroke="#3d5a94"/>'
        f'<text x="{x + 12:g}" y="{y + 21:g}" font-size="15" font-weight="bold" fill="#1c2b4a">'
        f"{escape(package.removeprefix('cfnsr.'))}</text>{text}"
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
