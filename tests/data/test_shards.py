from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cfnsr.corpora.clip import Sample
from cfnsr.data import shards
from cfnsr.errors import CfnsrError
from tests.support import corpus


def test_what_is_written_is_read(tmp_path: Path) -> None:
    shard = shards.read(corpus.write(tmp_path, actors=["01"]) / "01")
    assert shard.index["clip"].tolist() == [f"clip-01-{number}" for number in range(8)]
    assert shard.frames.shape == (8, 4, 16, 16, 3) and shard.frames.dtype == np.uint8
    assert isinstance(shard.frames, np.memmap)
    assert [int(frames[0, :, 0, 0].argmax()) // 2 for frames in shard.frames] == list(range(8))
    assert {"duration_s", "padded_s"} <= set(shard.index.columns)


def test_writing_twice_makes_the_same_bytes(tmp_path: Path) -> None:
    first, second = (corpus.write(tmp_path / name, actors=["01"]) / "01" for name in ("a", "b"))
    names = sorted(path.name for path in first.iterdir())
    assert names == ["clips.parquet", "frames.npy", "mel.npy", "mfcc.npy"]
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_a_failed_write_leaves_the_old_shard_alone(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path, actors=["01"]) / "01"
    before = (folder / "mfcc.npy").read_bytes()

    def broken():
        raise CfnsrError("clip", "bad", "mend it")
        yield

    with pytest.raises(CfnsrError):
        shards.write(folder, [{"clip": "x"}], broken(), {})
    assert (folder / "mfcc.npy").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["01"]


def test_a_skipped_clip_stands_in_the_index_and_in_no_array(tmp_path: Path) -> None:
    corpus.write(tmp_path, actors=["01"])
    whole = shards.read(tmp_path / "01")
    rows = [{"clip": f"clip-{number}", "actor": "01", "label": "calm"} for number in range(8)]
    samples: list[Sample | None] = [
        Sample(np.array(frames), np.array(mel), np.array(mfcc), 3.0, 0.0)
        for frames, mel, mfcc in zip(whole.frames, whole.mel, whole.mfcc, strict=True)
    ]
    samples[2] = samples[5] = None
    skipped = {"clip-2": "has no sound", "clip-5": "black", "no name": "cannot be read"}
    shards.write(tmp_path / "02", rows, samples, skipped)
    found = shards.read(tmp_path / "02")
    kept = [0, 1, 3, 4, 6, 7]
    assert found.skipped == skipped and found.index["clip"].tolist() == [f"clip-{number}" for number in kept]
    assert np.array_equal(found.frames, whole.frames[kept]) and np.array_equal(found.mfcc, whole.mfcc[kept])
    table = pd.read_parquet(tmp_path / "02" / "clips.parquet").set_index("clip")
    assert table["skipped"].dropna().to_dict() == skipped and table.loc["clip-2", "label"] == "calm"


def test_a_shard_of_skipped_clips_alone_is_refused_with_the_first_reason(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match="none of its clips can be used; x has no sound"):
        shards.write(tmp_path / "01", [{"clip": "x"}], [None], {"x": "has no sound"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [1, 9, 10, 1000])
def test_an_array_that_grew_is_the_file_that_numpy_writes(tmp_path: Path, count: int) -> None:
    values = np.random.default_rng(0).integers(0, 255, (count, 2, 3, 3, 3), dtype=np.uint8)
    mel = np.ones((4, 5), np.float32)
    rows = [{"clip": str(number)} for number in range(count)]
    shards.write(tmp_path / "01", rows, (Sample(value, mel, mel, 3.0, 0.0) for value in values), {})
    np.save(tmp_path / "frames.npy", values)
    assert (tmp_path / "01" / "frames.npy").read_bytes() == (tmp_path / "frames.npy").read_bytes()


def test_a_missing_or_short_file_is_named(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path, actors=["01"]) / "01"
    pd.read_parquet(folder / "clips.parquet").iloc[:-1].to_parquet(folder / "clips.parquet")
    with pytest.raises(CfnsrError, match=r"frames\.npy: holds 8 clips, the index 7"):
        shards.read(folder)
    (folder / "mfcc.npy").write_bytes(b"junk")
    with pytest.raises(CfnsrError, match="is not a shard"):
        shards.read(folder)
    (folder / "mel.npy").unlink()
    with pytest.raises(CfnsrError, match=r"mel\.npy: is missing"):
        shards.read(folder)
