from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cfnsr import dataset
from cfnsr.dataset import Clips
from cfnsr.naming import LABELS
from tests import corpus


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
        batches = dataset.shuffled(clips, 4, flip=0.5, shift=0.1, seed=seed)
        return [[value for batch in batches for value in batch.frames.sum(dim=(1, 2, 3, 4)).tolist()] for _ in range(2)]

    first, second = epochs(1)
    assert [first, second] == epochs(1)
    assert first != second and epochs(2)[0] != first


def test_a_last_batch_of_one_is_left_out_of_training(clips: Clips) -> None:
    sizes = [len(batch.label) for batch in dataset.shuffled(clips, 5, flip=0.0, shift=0.0, seed=1)]
    assert sizes == [5, 5, 5]
    assert [len(batch.label) for batch in dataset.shuffled(clips, 6, flip=0.0, shift=0.0, seed=1)] == [6, 6, 4]


def test_augmentation_off_means_off(clips: Clips) -> None:
    plain = dataset.Augmented(clips, flip=0.0, shift=0.0, generator=torch.Generator().manual_seed(0))
    assert torch.equal(plain.__getitems__([3, 0, 15]).frames, torch.stack([clips[at].frames for at in (3, 0, 15)]))


def test_a_flip_mirrors_all_frames_and_nothing_else(clips: Clips) -> None:
    mirrored = dataset.Augmented(clips, flip=1.0, shift=0.0, generator=torch.Generator().manual_seed(0))
    batch = mirrored.__getitems__([3, 5])
    assert torch.equal(batch.frames[1], clips[5].frames.flip(2))
    assert torch.equal(batch.mfcc[0], clips[3].mfcc) and torch.equal(batch.mel[0], clips[3].mel)


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    mirrored=st.booleans(),
    down=st.integers(-8, 8),
    right=st.integers(-8, 8),
)
def test_a_clip_is_moved_as_one_and_its_edge_repeats(
    height: int, width: int, mirrored: bool, down: int, right: int
) -> None:
    down, right = (max(min(shift, side - 1), 1 - side) for shift, side in ((down, height), (right, width)))
    frames = np.random.default_rng(0).integers(0, 255, (2, height, width, 3), dtype=np.uint8)
    moved = np.empty_like(frames)
    dataset.place(moved, frames, dataset.Move(mirrored, down, right))
    expected = frames[:, :, ::-1] if mirrored else frames
    rows, columns = (np.clip(np.arange(side) - by, 0, side - 1) for side, by in ((height, down), (width, right)))
    assert np.array_equal(moved, expected[:, rows][:, :, columns])


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**31), shift=st.floats(0.07, 0.4))
def test_shifts_reach_as_far_as_asked_and_no_further(clips: Clips, seed: int, shift: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    augmented = dataset.Augmented(clips, flip=0.5, shift=shift, generator=generator)
    moves = [augmented._move() for _ in range(300)]
    reach = round(shift * 16)
    for found in ({abs(move.down) for move in moves}, {abs(move.right) for move in moves}):
        assert set(range(reach)) <= found <= set(range(reach + 1))
    assert 90 < sum(move.mirrored for move in moves) < 210


def test_frames_reach_the_encoder_normalised_channels_first_without_a_copy_of_their_order() -> None:
    frames = torch.randint(0, 255, (2, 4, 8, 6, 3), dtype=torch.uint8)
    mean, deviation = torch.tensor([10.0, 20.0, 30.0]), torch.tensor([2.0, 4.0, 8.0])
    ready = dataset.normalised(frames, mean, deviation)
    assert ready.shape == (2, 3, 4, 8, 6)
    assert ready[1, 2, 3, 5, 4] == pytest.approx((float(frames[1, 3, 5, 4, 2]) - 30) / 8)
    assert ready.is_contiguous(memory_format=torch.channels_last_3d)
