from __future__ import annotations

from pathlib import Path

import pytest

from cfnsr import corpora
from cfnsr.corpora import clip
from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.runtime.bad_clips import BadClips

STEM = "01-01-03-02-01-02-04"


def test_clip_is_described_by_its_name() -> None:
    path = Path(f"raw/{STEM}.mp4")
    assert Clip.from_filename(path) == Clip(STEM, path, "04", "happy", "strong", 1, 2)


def test_clips_of_a_folder_are_sorted(tmp_path: Path) -> None:
    for name in (f"{STEM}.mp4", "01-01-01-01-01-01-04.MKV", f"{STEM}.csv"):
        (tmp_path / name).touch()
    assert [described.id for described in clip.describe(tmp_path, BadClips("fail"))] == ["01-01-01-01-01-01-04", STEM]


def test_folder_without_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match="has no clip"):
        clip.describe(tmp_path, BadClips("fail"))


def test_bad_name_stops_or_is_skipped(tmp_path: Path) -> None:
    for name in (f"{STEM}.mp4", "talk.mp4"):
        (tmp_path / name).touch()
    with pytest.raises(CfnsrError, match=r"talk\.mp4: is not a RAVDESS file name.*or set on_bad_clip: skip"):
        clip.describe(tmp_path, BadClips("fail"))
    bad = BadClips("skip")
    assert [described.id for described in clip.describe(tmp_path, bad)] == [STEM]
    assert list(bad.skipped) == ["talk"]


def test_unknown_corpus_is_refused() -> None:
    assert {"folder", "ravdess", "studio"} <= set(corpora.names())
    with pytest.raises(CfnsrError, match="there is no corpus 'cremad'"):
        corpora.get("cremad")
