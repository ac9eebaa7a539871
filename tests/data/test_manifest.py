from __future__ import annotations

import re
from pathlib import Path

import pytest

from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from tests.support import corpus


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return corpus.manifest(corpus.write(tmp_path_factory.mktemp("shards"), clips=2))


def test_a_manifest_is_read_as_written(manifest: Manifest, tmp_path: Path) -> None:
    manifest.write(tmp_path / "manifest.json")
    assert Manifest.read(tmp_path / "manifest.json") == manifest


def test_an_unknown_fold_is_refused(manifest: Manifest) -> None:
    with pytest.raises(CfnsrError, match="no fold 'fold_9'; there are fold_1, fold_2, fold_3"):
        manifest.speakers(corpus.trial("fold_9"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"protocols": {"held_out": 1}}'])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(CfnsrError, match=r"none\.json: is missing\. Run `dvc repro`, which"):
        Manifest.read(tmp_path / "none.json")
    with pytest.raises(CfnsrError, match=r"manifest\.json: is not a manifest"):
        Manifest.read(tmp_path / "manifest.json")


def test_an_edited_manifest_cannot_mix_sets(manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    manifest.write(path)
    path.write_text(re.sub(r'("validation": \[\s*)"02"', r'\1"01"', path.read_text()))
    with pytest.raises(CfnsrError, match="01 are in two sets"):
        Manifest.read(path)
