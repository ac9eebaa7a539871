from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from cfnsr.errors import CfnsrError
from cfnsr.preprocessing.container import one_clip, open_media


def test_file_that_is_no_media_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("<html>")
    with pytest.raises(CfnsrError, match=r"a\.mp4: is not a readable media file"), open_media(tmp_path / "a.mp4"):
        pass


@pytest.mark.parametrize(
    "error",
    [
        cv2.error("no space"),
        RuntimeError("dlib"),
        IndexError("tuple"),
        KeyError(3),
        MemoryError(),
        ValueError("layout\nmore"),
    ],
)
def test_errors_of_libraries_name_the_clip(error: Exception) -> None:
    with (
        pytest.raises(CfnsrError, match=rf"a\.mp4: cannot be processed \({type(error).__name__}"),
        one_clip(Path("a.mp4")),
    ):
        raise error
