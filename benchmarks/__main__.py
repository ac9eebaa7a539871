"""Measure what users wait for, and write the table into docs/speed.md. Example: make bench

Each script's ``rows`` gives what it measured, the figure, and the largest figure that was asked for, or NaN. Figures
without a unit are shares of something else that the same run measured, so they say the same on another machine.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import click
import torch

from cfnsr.runtime.outputs import atomic_file

PAGE = Path(__file__).parents[1] / "docs/speed.md"
SCRIPTS = ("extract", "load", "studio", "step", "pipeline")
Row = tuple[str, float, float]


def measure(script: str) -> list[Row]:
    """Run one script's measurements in a process of its own: threads, imports and freed memory are as they start."""
    code = f"import json; from benchmarks import {script}; print(json.dumps({script}.rows()))"
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, cwd=PAGE.parents[1], stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(printed.splitlines()[-1])


def machine() -> str:
    """Describe this machine."""
    names = re.findall(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{os.cpu_count()} cores of {names[0] if names else platform.processor()}, torch {torch.__version__}{load}"


def table(measured: dict[str, list[Row]]) -> str:
    """Return the rows as a table in Markdown."""
    lines = ["| what | measured | asked | by |", "|---|---:|---:|---|"]
    for script, rows in measured.items():
        for name, figure, target in rows:
            asked = "" if math.isnan(target) else f"<= {target:.2f}"
            lines.append(f"| {name} | {figure:.2f} | {asked} | `python benchmarks/{script}.py` |")
    return "\n".join(lines)


def replace_table(page: str, text: str) -> str:
    """Put the table between the page's two marks."""
    marks = "<!-- measured -->", "<!-- end -->"
    before, rest = page.split(marks[0])
    return f"{before}{marks[0]}\n{text}\n{marks[1]}{rest.split(marks[1])[1]}"


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""


@click.command(help=__doc__)
def main() -> None:
    described, started, measured = machine(), time.monotonic(), {}
    for script in SCRIPTS:
        click.echo(f"{script} ...", err=True)
        measured[script] = measure(script)
        for name, figure, target in measured[script]:
            click.echo(f"  {'MISSED ' if figure > target else ''}{name}: {figure:.2f} (<= {target:.2f})")
    minutes = (time.monotonic() - started) / 60
    text = f"On {described}; {minutes:.0f} minutes.\n\n{table(measured)}"
    with atomic_file(PAGE) as partial:
        partial.write_text(replace_table(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")


if __name__ == "__main__":
    main()
