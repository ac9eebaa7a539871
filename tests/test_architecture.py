"""The picture of the packages and their imports is that of the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def test_the_picture_shows_todays_imports(root: Path) -> None:
    spec = importlib.util.spec_from_file_location("draw_architecture", root / "docs/draw_architecture.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.draw() == script.PICTURE.read_text(encoding="utf-8"), "Run `python docs/draw_architecture.py`"
