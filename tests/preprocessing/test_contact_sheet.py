from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from cfnsr.data import shards
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import contact_sheet
from tests.support import corpus


def test_many_clips_are_several_pictures(tmp_path: Path) -> None:
    shard = shards.read(corpus.write(tmp_path, actors=["01"], clips=120) / "01")
    paths = contact_sheet.write(tmp_path / "sheet.png", shard)
    assert [path.name for path in paths] == ["sheet.png", "sheet-2.png", "sheet-3.png"]
    heights = [cv2.imread(str(path)).shape[0] for path in paths]
    assert heights == [50 * (16 + 18), 50 * (16 + 18), 20 * (16 + 18)]


def test_unknown_picture_format_is_refused(tmp_path: Path) -> None:
    shard = shards.read(corpus.write(tmp_path, actors=["01"]) / "01")
    with pytest.raises(CfnsrError, match=r"sheet\.xyz: is not the name of a picture"):
        contact_sheet.write(tmp_path / "sheet.xyz", shard)
