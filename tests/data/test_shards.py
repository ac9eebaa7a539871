from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cfnsr.data import shards
from cfnsr.data.shards import Sample
from cfnsr.errors import CfnsrError
from tests.support import corpus


def test_a_shard_is_read_as_written(tmp_path: Path) -> None:
    shard = shards.read(corpus.write(tmp_path, actors=["01"]) / "01")
    frames = shard.arrays["frames"]
    assert shard.index["clip"].tolist() == [f"clip-01-{number}" for number in range(8)]
    assert frames.shape == (8, 4, 16, 16, 3) and frames.dtype == np.uint8 and isinstance(frames, np.memmap)
    assert [int(clip[0, :, 0, 0].argmax()) // 2 for clip in frames] == list(range(8))
    assert {"duration_s", "padded_s"} <= set(shard.index.columns)


def test_writing_twice_makes_the_same_bytes(tmp_path: Path) -> None:
    first, second = (corpus.write(tmp_path / name, actors=["01"]) / "01" for name in ("a", "b"))
    names = sorted(path.name for path in first.iterdir())
    assert names == ["clips.parquet", "frames.npy", "mel.npy", "mfcc.npy"]
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_a_failed_write_leaves_the_old_shard(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path, actors=["01"]) / "01"
    before = (folder / "mfcc.npy").read_bytes()

    def failing() -> Iterator[Sample]:
        raise CfnsrError("clip", "cannot be decoded", "fetch it again")
        yield

    with pytest.raises(CfnsrError):
        shards.write(folder, [{"clip": "x"}], failing(), {})
    assert (folder / "mfcc.npy").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["01"]


def test_a_skipped_clip_is_in_no_array(tmp_path: Path) -> None:
    corpus.write(tmp_path, actors=["01"])
    arrays = shards.read(tmp_path / "01").arrays
    rows: list[dict[str, object]] = [
        {"clip": f"clip-{row}", "actor": "01", "label": "calm", "source_md5": ""} for row in range(8)
    ]
    samples: list[Sample | None] = [
        Sample({name: array[row] for name, array in arrays.items()}, 3.0, 0.0) for row in range(8)
    ]
    samples[2] = samples[5] = None
    skipped = {"clip-2": "has no sound", "clip-5": "black", "no name": "cannot be read"}
    shards.write(tmp_path / "02", rows, samples, skipped)
    shard = shards.read(tmp_path / "02")
    kept = [0, 1, 3, 4, 6, 7]
    assert shard.skipped == skipped and shard.index["clip"].tolist() == [f"clip-{row}" for row in kept]
    assert all(np.array_equal(shard.arrays[name], arrays[name][kept]) for name in shards.ARRAYS)
    table = pd.read_parquet(tmp_path / "02" / "clips.parquet").set_index("clip")
    assert table["skipped"].dropna().to_dict() == skipped and table.loc["clip-2", "label"] == "calm"


def test_a_shard_without_usable_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match="none of its clips can be used; x has no sound"):
        shards.write(tmp_path / "01", [{"clip": "x"}], [None], {"x": "has no sound"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [1, 9, 10, 1000])
def test_array_files_are_those_that_numpy_writes(tmp_path: Path, count: int) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (count, 2, 3, 3, 3), dtype=np.uint8)
    mel = np.ones((4, 5), np.float32)
    rows: list[dict[str, object]] = [
        {"clip": str(number), "actor": "01", "label": "calm", "source_md5": ""} for number in range(count)
    ]
    shards.write(tmp_path / "01", rows, (corpus.sample(clip, mel, mel) for clip in frames), {})
    np.save(tmp_path / "frames.npy", frames)
    assert (tmp_path / "01" / "frames.npy").read_bytes() == (tmp_path / "frames.npy").read_bytes()


@pytest.mark.parametrize(
    ("sample", "problem"),
    [
        (Sample({"mel": np.ones((4, 5), np.float32)}, 3.0, 0.0), "has the arrays mel, not frames, mel, mfcc"),
        (
            corpus.sample(np.ones((2, 3, 3, 3), np.uint8), np.ones(4, np.float32), np.ones((4, 5), np.float32)),
            r"mel is float32 of shape \(4,\) a clip, not float32 \(mel, step\)",
        ),
        (
            corpus.sample(np.ones((2, 3, 3, 3)), np.ones((4, 5), np.float32), np.ones((4, 5), np.float32)),
            r"frames is float64 of shape \(2, 3, 3, 3\) a clip, not uint8",
        ),
    ],
)
def test_a_sample_unlike_the_table_is_refused(tmp_path: Path, sample: Sample, problem: str) -> None:
    with pytest.raises(CfnsrError, match=f"01, clip x: {problem}"):
        shards.write(tmp_path / "01", [{"clip": "x"}], [sample], {})


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path, actors=["01"]) / "01"
    np.save(folder / "mel.npy", np.load(folder / "mel.npy").astype(np.float64))
    with pytest.raises(
        CfnsrError, match=r"mel\.npy: is not the array mel .* float64 of shape \(8, 32, 36\), not float32"
    ):
        shards.read(folder)
    np.save(folder / "mel.npy", np.load(folder / "mel.npy").astype(np.float32))
    pd.read_parquet(folder / "clips.parquet").iloc[:-1].to_parquet(folder / "clips.parquet")
    with pytest.raises(CfnsrError, match=r"frames\.npy: holds 8 clips .*, the index 7"):
        shards.read(folder)
    (folder / "mfcc.npy").write_bytes(b"junk")
    with pytest.raises(CfnsrError, match=r"mfcc\.npy: is not the array mfcc of a shard"):
        shards.read(folder)
    (folder / "mel.npy").unlink()
    with pytest.raises(CfnsrError, match=r"mel\.npy: is missing\. Run `dvc repro`"):
        shards.read(folder)


def test_one_modality_has_its_arrays_only(tmp_path: Path) -> None:
    arrays = shards.read(corpus.write(tmp_path, actors=["01"]) / "01").arrays
    voices = [Sample({name: arrays[name][row] for name in ("mel", "mfcc")}, 3.0, 0.0) for row in range(8)]
    rows: list[dict[str, object]] = [
        {"clip": f"clip-{row}", "actor": "02", "label": "calm", "source_md5": ""} for row in range(8)
    ]
    shards.write(tmp_path / "02", rows, voices, {}, ["audio"])
    assert sorted(path.name for path in (tmp_path / "02").iterdir()) == ["clips.parquet", "mel.npy", "mfcc.npy"]
    assert list(shards.read(tmp_path / "02", ["audio"]).arrays) == ["mel", "mfcc"]
    with pytest.raises(CfnsrError, match=r"frames\.npy: is missing"):
        shards.read(tmp_path / "02")
    with pytest.raises(CfnsrError, match="has the arrays mel, mfcc, not frames, mel, mfcc"):
        shards.write(tmp_path / "03", rows, voices, {})
