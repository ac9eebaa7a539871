from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cfnsr.corpora.filenames import LABELS
from cfnsr.data import dataset
from cfnsr.data.dataset import Clips
from cfnsr.errors import CfnsrError
from tests.support import corpus


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus.write(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def clips(folder: Path) -> Clips:
    return Clips(folder, ["01", "03"], list(LABELS))


def test_clips_are_those_of_the_speakers_asked_for_in_order(folder: Path, clips: Clips) -> None:
    assert clips.index["actor"].tolist() == ["01"] * 8 + ["03"] * 8
    assert np.array_equal(clips[9].frames.numpy(), np.load(folder / "03" / "frames.npy")[1])
    assert [int(clips[position].label) for position in range(16)] == [*range(8)] * 2


def test_batches_in_order_hold_every_clip_once(clips: Clips) -> None:
    batches = list(dataset.in_order(clips, 5))
    assert [len(batch.label) for batch in batches] == [5, 5, 5, 1]
    assert torch.cat([batch.label for batch in batches]).tolist() == [*range(8)] * 2
    assert batches[0].frames.dtype == torch.uint8


def test_training_order_follows_its_seed_and_changes_from_epoch_to_epoch(clips: Clips) -> None:
    def epochs(seed: int) -> list[list[int]]:
        shares = dataset.shuffled(clips, 4, seed=seed)
        return [
            [value for share in shares for value in share.clips.frames.sum(dim=(1, 2, 3, 4)).tolist()] for _ in range(2)
        ]

    first, second = epochs(1)
    assert [first, second] == epochs(1)
    assert first != second and epochs(2)[0] != first


def test_a_last_batch_of_one_is_left_out_of_training(clips: Clips) -> None:
    sizes = [len(share.clips.label) for share in dataset.shuffled(clips, 5, seed=1)]
    assert sizes == [5, 5, 5]
    assert [len(share.clips.label) for share in dataset.shuffled(clips, 6, seed=1)] == [6, 6, 4]


@given(st.integers(2, 17), st.integers(1, 5), st.integers(0, 5))
def test_processes_share_each_batch_and_none_gets_a_single_clip(
    clips: Clips, batch_size: int, count: int, seed: int
) -> None:
    whole = dataset.shuffled(clips, batch_size, seed=seed)
    alone = [share.clips.frames.sum(dim=(1, 2, 3, 4)).tolist() for share in whole]
    hands = [dataset.shuffled(clips, batch_size, seed=seed, rank=rank, count=count) for rank in range(count)]
    for batch, *shares in zip(alone, *hands, strict=True):
        assert all(len(share.clips.label) >= 2 and len(share.whole) == len(batch) for share in shares)
        counting = [share.clips for share in shares if not share.idle]
        assert sorted(value for own in counting for value in own.frames.sum(dim=(1, 2, 3, 4)).tolist()) == sorted(batch)
        assert max(len(own.label) for own in counting) - min(len(own.label) for own in counting) <= 1
        assert sorted(torch.cat([own.label for own in counting]).tolist()) == sorted(shares[0].whole.tolist())


def test_a_batch_holds_the_clips_asked_for(clips: Clips) -> None:
    batch = clips.__getitems__([3, 0, 15])
    for name in ("frames", "mel", "mfcc", "label"):
        assert torch.equal(getattr(batch, name), torch.stack([getattr(clips[at], name) for at in (3, 0, 15)]))


def test_an_unknown_label_is_refused(folder: Path) -> None:
    with pytest.raises(CfnsrError, match="labels calm are not known"):
        Clips(folder, ["01"], [label for label in LABELS if label != "calm"])


def test_frames_reach_the_encoder_normalised_channels_first_without_a_copy_of_their_order() -> None:
    frames = torch.randint(0, 255, (2, 4, 8, 6, 3), dtype=torch.uint8)
    mean, deviation = torch.tensor([10.0, 20.0, 30.0]), torch.tensor([2.0, 4.0, 8.0])
    ready = dataset.normalised(frames, mean, deviation)
    assert ready.shape == (2, 3, 4, 8, 6)
    assert ready[1, 2, 3, 5, 4] == pytest.approx((float(frames[1, 3, 5, 4, 2]) - 30) / 8)
    assert ready.is_contiguous(memory_format=torch.channels_last_3d)
