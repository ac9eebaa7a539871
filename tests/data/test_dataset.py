from __future__ import annotations

import os
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cfnsr.corpora.filenames import LABELS
from cfnsr.data import dataset, shards
from cfnsr.data.dataset import Clips, FoldDatasets
from cfnsr.data.shards import ArraySpec
from cfnsr.errors import CfnsrError
from tests.support import corpus


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus.write(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def clips(folder: Path) -> Clips:
    return Clips(folder, ["01", "03"], list(LABELS))


def batches(clips: Clips, batch_size: int, **options: int) -> list[list[float]]:
    """Return training batches, each clip as the sum of its MFCC."""
    return [
        batch["mfcc"].sum(dim=(1, 2)).tolist()
        for batch in dataset.shuffled(clips, batch_size, **{"seed": 1, "epoch": 1, **options})
    ]


def test_clips_are_in_the_order_of_speakers(folder: Path, clips: Clips) -> None:
    assert clips.index["actor"].tolist() == ["01"] * 8 + ["03"] * 8
    assert np.array_equal(clips[9]["frames"][0].numpy(), np.load(folder / "03" / "frames.npy")[1])
    assert [int(clips[position].label) for position in range(16)] == [*range(8)] * 2


def test_a_batch_holds_the_clips_at_its_positions(clips: Clips) -> None:
    batch = clips.__getitems__([3, 0, 15])
    assert list(batch.arrays) == ["frames", "mel", "mfcc"] and batch["frames"].dtype == torch.uint8
    for name, array in batch.arrays.items():
        assert torch.equal(array, torch.cat([clips[position][name] for position in (3, 0, 15)]))
    assert batch.label.tolist() == [3, 0, 7]


def test_clips_of_one_modality_read_its_arrays_only(clips: Clips) -> None:
    assert list(clips.reading(["audio"])[3].arrays) == ["mel", "mfcc"]
    assert torch.equal(clips.reading(["audio"])[3]["mel"], clips[3]["mel"])
    sequences = clips.with_arrays({"video_sequence": np.zeros((16, 2, 3), np.float32)})
    assert list(sequences.reading(["video"])[3].arrays) == ["video_sequence"]


def test_open_clips_keep_no_file_open(folder: Path) -> None:
    before = len([*Path("/dev/fd").iterdir()])
    clips = Clips(folder, corpus.ACTORS, list(LABELS))
    assert len(clips[0]) == 1 and len([*Path("/dev/fd").iterdir()]) == before


def test_a_file_cut_while_clips_are_open_is_refused(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path, actors=["01"])
    clips = Clips(folder, ["01"], list(LABELS))
    os.truncate(folder / "01" / "mel.npy", 4000)
    with pytest.raises(CfnsrError, match=r"mel\.npy: has no row 7 any more"):
        clips[7]


def test_a_new_array_needs_one_table_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(shards.ARRAYS, "pitch", ArraySpec(np.float32, ("step", "voicing")))
    folder = corpus.write(tmp_path / "shards")
    pitch = shards.read(folder / "02").arrays["pitch"]
    assert pitch.shape == (8, 2, 2) and corpus.manifest(folder).shapes["pitch"] == [2, 2]
    (batch,) = dataset.in_order(Clips(folder, ["02"], list(LABELS)), 8)
    assert np.array_equal(batch["pitch"].numpy(), pitch)
    (folder / "02" / "pitch.npy").unlink()
    with pytest.raises(CfnsrError, match=r"pitch\.npy: is missing"):
        shards.read(folder / "02")


def test_batches_in_order_hold_each_clip_once(clips: Clips) -> None:
    loaded = list(dataset.in_order(clips, 5))
    assert [len(batch) for batch in loaded] == [5, 5, 5, 1]
    assert torch.cat([batch.label for batch in loaded]).tolist() == [*range(8)] * 2


def test_training_order_depends_on_seed_and_epoch_alone(clips: Clips) -> None:
    first = batches(clips, 4, seed=1, epoch=1)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert batches(clips, 4, seed=1, epoch=1) == first
    assert torch.equal(torch.get_rng_state(), before)
    orders = [first, batches(clips, 4, seed=1, epoch=2), batches(clips, 4, seed=2, epoch=1)]
    assert len({str(order) for order in orders}) == 3
    assert len({str(sorted(chain(*order))) for order in orders}) == 1


@pytest.mark.parametrize(
    ("batch_size", "world_size", "sizes"), [(5, 1, [5, 5, 5]), (6, 1, [6, 6, 4]), (6, 3, [6, 6]), (16, 8, [16])]
)
def test_a_last_batch_too_small_is_left_out(clips: Clips, batch_size: int, world_size: int, sizes: list[int]) -> None:
    of_ranks = [batches(clips, batch_size, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert [sum(map(len, parts)) for parts in zip(*of_ranks, strict=True)] == sizes


@given(st.integers(2, 17), st.integers(1, 5), st.integers(0, 5))
def test_processes_share_each_batch_evenly(clips: Clips, batch_size: int, world_size: int, epoch: int) -> None:
    if world_size > 1 and min(batch_size, len(clips)) < 2 * world_size:
        with pytest.raises(CfnsrError, match="fewer than two clips each"):
            batches(clips, batch_size, epoch=epoch, world_size=world_size)
        return
    of_ranks = [batches(clips, batch_size, epoch=epoch, rank=rank, world_size=world_size) for rank in range(world_size)]
    whole = batches(clips, batch_size, epoch=epoch)
    for batch, *parts in zip(whole, *of_ranks, strict=False):
        assert sorted(chain(*parts)) == sorted(batch)
        assert min(map(len, parts)) >= 2 and max(map(len, parts)) - min(map(len, parts)) <= 1
    assert {len(part) for part in of_ranks} <= {len(whole), len(whole) - 1}


def test_an_unknown_label_is_refused(folder: Path) -> None:
    with pytest.raises(CfnsrError, match="labels calm are not known"):
        Clips(folder, ["01"], [label for label in LABELS if label != "calm"])


@pytest.mark.parametrize("protocol", ["held_out", "test_selected"])
def test_a_fold_opens_the_speakers_of_its_sets(folder: Path, protocol: str) -> None:
    manifest = corpus.manifest(folder)
    for fold, speakers in manifest.protocols[protocol].items():
        datasets = FoldDatasets.open(corpus.trial(fold, protocol), folder, manifest)
        for role in ("test", "validation", "train"):
            clips = getattr(datasets, role)
            assert (() if clips is None else tuple(clips.index["actor"].unique())) == getattr(speakers, role)
        selecting = datasets.test if protocol == "test_selected" else datasets.validation
        assert datasets.selection_split is selecting


def test_a_clip_of_another_speaker_is_refused(folder: Path, tmp_path: Path) -> None:
    planted = corpus.write(tmp_path)
    index = shards.read(planted / "02").index
    index.assign(actor=["01", *["02"] * 7], skipped=None).to_parquet(planted / "02" / "clips.parquet", index=False)
    with pytest.raises(CfnsrError, match=r"/02: contains clips of speaker 01"):
        FoldDatasets.open(corpus.trial("fold_1"), planted, corpus.manifest(folder))


@pytest.mark.parametrize(("actor", "role"), [("02", "validation"), ("03", "training")])
def test_a_test_recording_in_another_set_is_refused(folder: Path, tmp_path: Path, actor: str, role: str) -> None:
    """Fold 1 tests 01, validates on 02 and trains on 03; the recording has another speaker's name."""
    planted = corpus.write(tmp_path)
    index = shards.read(planted / actor).index
    recordings = ["015", *index["source_md5"][1:]]
    index.assign(source_md5=recordings, skipped=None).to_parquet(planted / actor / "clips.parquet", index=False)
    with pytest.raises(CfnsrError, match=f"clip-{actor}-0: its recording is in the {role} set and in the test set"):
        FoldDatasets.open(corpus.trial("fold_1"), planted, corpus.manifest(folder))


@pytest.mark.parametrize("damage", ["zeros", "bit"])
def test_damaged_arrays_are_refused_when_first_read(tmp_path: Path, damage: str) -> None:
    manifest = corpus.manifest(corpus.write(tmp_path))
    path = tmp_path / "03/frames.npy"
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[-1] ^= 1
    else:
        content[128:] = bytes(len(content) - 128)  # behind the header
    path.write_bytes(content)
    datasets = FoldDatasets.open(corpus.trial("fold_1"), tmp_path, manifest)  # reads no array
    next(iter(dataset.in_order(datasets.test, 4)))
    with pytest.raises(CfnsrError, match=r"/03: its arrays are not those that were checked.* then `dvc repro`$"):
        next(iter(dataset.in_order(datasets.train, 16)))
