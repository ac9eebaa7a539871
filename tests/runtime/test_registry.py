"""Lookup of a package's modules by name, and the check of options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cfnsr.errors import CfnsrError
from cfnsr.runtime import registry
from tests.support import toys

PACKAGE = "cfnsr.models.fusion"


def test_a_modules_file_is_its_name(tmp_path: Path) -> None:
    with toys.added(PACKAGE, "new", "ANSWER = 42\n", tmp_path):
        assert "new" in registry.names(PACKAGE) and "new" not in registry.names(PACKAGE, folders_only=True)
        assert registry.load(PACKAGE, "new", where="systems", kind="system").ANSWER == 42
    assert registry.names("cfnsr.models", folders_only=True) == ["encoders", "fusion", "published"]


def test_unknown_names_are_errors() -> None:
    with pytest.raises(CfnsrError, match=r"^run\.train: there is no system 'ghost'\. Choose one of: averaging, "):
        registry.load(PACKAGE, "ghost", where="run.train", kind="system")


class Options:
    def __init__(self, positional: int, *, width: int, share: float, layers: list[int]) -> None: ...


CORRECT: dict[str, Any] = {"width": 3, "share": 1, "layers": [1, 2]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({**CORRECT, "depth": 1}, r"here\.depth: unknown option\. Remove it; known are: width, share, layers"),
        ({"width": 3, "share": 0.5}, r"here\.layers: missing"),
        ({**CORRECT, "width": 3.0}, r"here\.width: .*integer \(given: 3\.0\)"),
        ({**CORRECT, "width": True}, r"here\.width: .*integer \(given: True\)"),
        ({**CORRECT, "layers": [1, "2"]}, r"here\.layers: .*integer"),
    ],
)
def test_wrong_options_are_errors_by_key(options: dict[str, Any], message: str) -> None:
    registry.check_options(Options, CORRECT, "here")
    with pytest.raises(CfnsrError, match=message):
        registry.check_options(Options, options, "here")
