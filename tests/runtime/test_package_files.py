from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from cfnsr.errors import CfnsrError
from cfnsr.runtime import package_files

CONTENT = b"weights"
CHOICES = {"sha256": hashlib.sha256(CONTENT).hexdigest(), "where": "here", "remedy": "Install it"}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that cannot be imported."""
    folder = tmp_path / "package_of_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_file_is_read_without_importing_the_package(package: Path) -> None:
    (package / "model.bin").write_bytes(CONTENT)
    assert package_files.read(package.name, "model.bin", **CHOICES) == CONTENT
    assert package.name not in sys.modules


def test_missing_and_other_files_are_refused(package: Path) -> None:
    with pytest.raises(CfnsrError, match=r"here: needs model\.bin of the package no_package, which is missing"):
        package_files.read("no_package", "model.bin", **CHOICES)
    with pytest.raises(CfnsrError, match=r"model\.bin: cannot be read \(No such file"):
        package_files.read(package.name, "model.bin", **CHOICES)
    (package / "model.bin").write_bytes(b"other weights")
    with pytest.raises(CfnsrError, match=r"model\.bin: its sha256 is .*, not .*\. Install it"):
        package_files.read(package.name, "model.bin", **CHOICES)
