from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cfnsr import shards
from cfnsr.errors import CfnsrError
from tests import corpus


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
        shards.write(folder, [{"clip": "x"}], broken())
    assert (folder / "mfcc.npy").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["01"]


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
