from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from cfnsr.models.types import Batch
from cfnsr.preprocessing.audio import features
from cfnsr.training.augment import Augment, audio, video

VIDEO_OFF: dict[str, float] = {
    "flip": 0.0,
    "shift": 0.0,
    "crop_scale": 1.0,
    "crop_ratio": 1.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "jitter": 0,
}
AUDIO_OFF: dict[str, float] = {
    "gain_db": 0.0,
    "noise": 0.0,
    "noise_db": -30.0,
    "shift": 0.0,
    "time_masks": 0,
    "time_mask": 0.1,
    "band_masks": 0,
    "band_mask": 0.1,
}
EACH_VIDEO: list[dict[str, float]] = [
    {"flip": 0.5},
    {"shift": 0.2},
    {"crop_scale": 0.5, "crop_ratio": 1.5},
    {"brightness": 0.4},
    {"contrast": 0.4},
    {"saturation": 0.4},
]
EACH_AUDIO: list[dict[str, float]] = [
    {"gain_db": 6.0},
    {"noise": 0.5},
    {"shift": 0.2},
    {"time_masks": 2},
    {"band_masks": 2},
]
ALL_VIDEO = {name: value for options in EACH_VIDEO for name, value in options.items()} | {"jitter": 1}
ALL_AUDIO = {name: value for options in EACH_AUDIO for name, value in options.items()}


def augment(
    video: dict[str, float] | None = None,
    audio: dict[str, float] | None = None,
    *,
    modality_dropout: float = 0.0,
    seed: int = 0,
) -> Augment:
    """All off but what is named."""
    return Augment(
        video={**VIDEO_OFF, **(video or {})},
        audio={**AUDIO_OFF, **(audio or {})},
        modality_dropout=modality_dropout,
        seed=seed,
    )


def batch(clips: int = 6, *, times: int = 4, height: int = 16, width: int = 12, low: int = 0, high: int = 256) -> Batch:
    """Noise for faces and for voices, the voice's MFCC its own."""
    generator = torch.Generator().manual_seed(1)
    frames = torch.randint(low, high, (clips, times, height, width, 3), dtype=torch.uint8, generator=generator)
    mel = 20 * torch.randn(clips, 32, 50, generator=generator) - 30
    return Batch(frames, mel, audio.cepstrum(mel, 13), torch.arange(clips))


def same(first: Batch, second: Batch) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def columns_and_rows(clips: int, side: int = 64) -> Batch:
    """Pictures that tell where each pixel came from: red is four times its column, green four times its row."""
    frames = torch.zeros(clips, 2, side, side, 3, dtype=torch.uint8)
    frames[..., 0] = 4 * torch.arange(side)
    frames[..., 1] = 4 * torch.arange(side)[:, None]
    return batch(clips)._replace(frames=frames)


# --- as a whole


def test_off_means_off() -> None:
    """The very tensors, and nothing drawn, which would change what is drawn later."""
    off, clips = augment(), batch()
    before = off.generator.get_state()
    after = off(clips)
    assert all(one is other for one, other in zip(after, clips, strict=True))
    assert torch.equal(off.generator.get_state(), before)


@pytest.mark.parametrize("options", [{"time_masks": 2, "time_mask": 0.0}, {"band_masks": 2, "band_mask": 0.0}])
def test_masks_of_no_length_are_off(options: dict[str, float]) -> None:
    off, clips = augment(audio=options), batch()
    before = off.generator.get_state()
    assert off(clips).mel is clips.mel and torch.equal(off.generator.get_state(), before)


def test_one_modality_is_left_alone_where_only_the_other_is_changed() -> None:
    clips = batch()
    seen, heard = augment(video=ALL_VIDEO)(clips), augment(audio=ALL_AUDIO)(clips)
    assert seen.mel is clips.mel and seen.mfcc is clips.mfcc and not torch.equal(seen.frames, clips.frames)
    assert heard.frames is clips.frames and not torch.equal(heard.mel, clips.mel)
    assert not torch.equal(heard.mfcc, clips.mfcc)


@settings(max_examples=25, deadline=None)
@given(
    chosen=st.lists(st.sampled_from([*EACH_VIDEO, {"jitter": 2}])),
    heard=st.lists(st.sampled_from(EACH_AUDIO)),
    lost=st.sampled_from([0.0, 0.5, 1.0]),
    sides=st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 2**63 - 1),
)
def test_any_of_it_keeps_shapes_and_scales_and_what_it_was_given(
    chosen: list[dict[str, float]], heard: list[dict[str, float]], lost: float, sides: tuple[int, ...], seed: int
) -> None:
    count, times, height, width = sides
    clips = batch(count, times=times, height=height, width=width)
    copy = Batch(*(value.clone() for value in clips))
    options: Any = [{name: value for part in parts for name, value in part.items()} for parts in (chosen, heard)]
    changed = augment(*options, modality_dropout=lost, seed=seed)(clips)
    assert same(clips, copy)
    for before, after in zip(clips, changed, strict=True):
        assert after.shape == before.shape and after.is_contiguous() and not after.requires_grad
        assert after.isfinite().all() and after.dtype in (before.dtype, torch.float32)
    assert changed.frames.min() >= 0 and changed.frames.max() <= 255
    assert changed.label is clips.label
    if not lost and set(options[0]) <= {"flip", "shift", "jitter"}:
        assert changed.frames.dtype == torch.uint8


def test_the_same_seed_gives_the_same_bits_and_a_state_put_back_the_same_again() -> None:
    def everything(seed: int) -> Augment:
        return augment(ALL_VIDEO, ALL_AUDIO, modality_dropout=0.3, seed=seed)

    clips, first, second = batch(), everything(3), everything(3)
    assert same(first(clips), second(clips))
    state = first.generator.get_state()
    later = first(clips)
    assert not torch.equal(later.mel, everything(3)(clips).mel)
    second.generator.set_state(state)
    assert same(second(clips), later)
    assert not torch.equal(everything(4)(clips).mel, everything(3)(clips).mel)


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.set_deterministic_debug_mode("error")
    yield
    torch.set_deterministic_debug_mode("default")


def test_no_operation_depends_on_timing(deterministic: None) -> None:
    augment(ALL_VIDEO, ALL_AUDIO, modality_dropout=0.5)(batch())


def test_a_network_can_learn_from_what_comes_back() -> None:
    changed = augment(ALL_VIDEO, ALL_AUDIO)(batch())
    weight = torch.ones(1, requires_grad=True)
    ((changed.frames * weight).mean() + (changed.mfcc * weight).mean()).backward()
    assert weight.grad is not None


# --- the picture


@pytest.mark.parametrize("options", [*EACH_VIDEO, {**ALL_VIDEO, "jitter": 0}], ids=str)
def test_all_frames_of_a_clip_are_changed_alike_and_clips_are_not(options: dict[str, float]) -> None:
    clips = batch(8)
    still = clips._replace(frames=clips.frames[:1, :1].expand_as(clips.frames).contiguous())
    changed = augment(video=options)(still).frames
    assert torch.equal(changed, changed[:, :1].expand_as(changed))
    assert not torch.equal(changed, changed[:1].expand_as(changed))


@settings(deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    flip=st.sampled_from([0.0, 0.5, 1.0]),
    shift=st.floats(0.0, 0.9),
    seed=st.integers(0, 2**31),
)
def test_a_clip_is_mirrored_and_shifted_pixel_by_pixel_and_its_edge_repeats(
    height: int, width: int, flip: float, shift: float, seed: int
) -> None:
    clips = batch(3, times=2, height=height, width=width)
    changed = augment(video={"flip": flip, "shift": shift}, seed=seed)(clips).frames.numpy()
    for before, after in zip(clips.frames.numpy(), changed, strict=True):
        assert any(np.array_equal(after, expected) for expected in _all_moves(before, flip, shift))


def _all_moves(frames: np.ndarray, flip: float, shift: float) -> Iterator[np.ndarray]:
    height, width = frames.shape[1:3]
    down, right = round(shift * height), round(shift * width)
    for mirrored in [False, True] if 0 < flip < 1 else [flip == 1]:
        moved = frames[:, :, ::-1] if mirrored else frames
        for y in range(-down, down + 1):
            for x in range(-right, right + 1):
                rows, columns = (
                    np.clip(np.arange(height) - y, 0, height - 1),
                    np.clip(np.arange(width) - x, 0, width - 1),
                )
                yield moved[:, rows][:, :, columns]


def test_flips_are_as_frequent_and_shifts_as_far_as_asked() -> None:
    clips = columns_and_rows(2000, side=16)
    mirrored = augment(video={"flip": 0.3})(clips).frames[:, 0, 0, 0, 0] > 0
    assert 0.25 < mirrored.float().mean() < 0.35
    middle = augment(video={"shift": 0.2})(clips).frames[:, 0, 8, 8]
    for shift in (middle[:, 0].int() // 4 - 8, middle[:, 1].int() // 4 - 8):
        assert shift.unique().tolist() == [*range(-3, 4)]


def test_a_crop_is_the_piece_cut_out_and_brought_to_full_size() -> None:
    clips = batch(2, height=16, width=24).frames
    top, left, height, width = torch.tensor([[2, 5], [3, 0], [8, 10], [12, 18]])
    changed = video.cropped(clips, top / 16, left / 24, height / 16, width / 24)
    for clip in range(2):
        y, x = slice(top[clip], top[clip] + height[clip]), slice(left[clip], left[clip] + width[clip])
        piece = clips[clip, :, y, x].permute(0, 3, 1, 2).float()
        expected = F.interpolate(piece, size=(16, 24), mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
        # At its rim the crop knows the pixels beyond, the piece does not.
        assert torch.allclose(changed[clip, :, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=1e-2)


def test_a_crop_of_everything_is_the_picture() -> None:
    clips = batch(1).frames
    none, whole = torch.zeros(1), torch.ones(1)
    assert torch.allclose(video.cropped(clips, none, none, whole, whole), clips.float(), atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.2, 0.95), ratio=st.floats(1.0, 3.0), seed=st.integers(0, 2**31))
def test_crops_keep_their_area_and_their_ratio_and_stay_inside(scale: float, ratio: float, seed: int) -> None:
    changed = augment(video={"crop_scale": scale, "crop_ratio": ratio}, seed=seed)(columns_and_rows(40)).frames
    width = (changed[:, 0, 32, 48, 0] - changed[:, 0, 32, 16, 0]) / 4 / 32
    height = (changed[:, 0, 48, 32, 1] - changed[:, 0, 16, 32, 1]) / 4 / 32
    area, stretch = width * height, width / height
    assert area.min() > scale - 1e-3 and area.max() < 1 + 1e-3
    assert stretch.max() < ratio + 1e-3 and stretch.min() > 1 / ratio - 1e-3
    for side, middle in ((width, changed[:, 0, 32, 32, 0]), (height, changed[:, 0, 32, 32, 1])):
        centre = (middle / 4 + 0.5 - side / 2) / 64  # the middle pixel lies half an output pixel past the centre
        assert (centre - side / 2).min() > -1e-3 and (centre + side / 2).max() < 1 + 1e-3


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_a_colour_is_scaled_about_its_own_centre(name: str) -> None:
    clips = batch(200, low=100, high=150)
    before, after = clips.frames.double(), augment(video={name: 0.4})(clips).frames.double()
    grey = before @ torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    centre = {
        "brightness": torch.zeros(1),
        "contrast": grey.mean(dim=(1, 2, 3))[:, None, None, None, None],
        "saturation": grey[..., None],
    }[name]
    factor = ((after - centre) * (before - centre)).sum(dim=(1, 2, 3, 4)) / (before - centre).square().sum((1, 2, 3, 4))
    expected = centre + (before - centre) * factor[:, None, None, None, None]
    assert torch.allclose(after, expected, atol=1e-3)
    assert 0.6 <= factor.min() < 0.65 and 1.35 < factor.max() <= 1.4


def test_colours_stay_within_their_scale() -> None:
    changed = augment(video={"brightness": 0.9, "contrast": 0.9, "saturation": 0.9})(batch(50)).frames
    assert changed.min() == 0 and changed.max() == 255


def test_jitter_takes_frames_nearby_in_order() -> None:
    frames = torch.arange(20, dtype=torch.uint8)[:, None, None, None].expand(300, 20, 3, 2, 3).contiguous()
    changed = augment(video={"jitter": 2})(batch(300)._replace(frames=frames)).frames
    assert torch.equal(changed, changed[:, :, :1, :1, :1].expand_as(changed))
    order = changed[:, :, 0, 0, 0].int()
    off = order - torch.arange(20)
    assert (order.diff(dim=1) >= 0).all() and order.min() == 0 and order.max() == 19
    assert off.unique().tolist() == [-2, -1, 0, 1, 2]


# --- the voice


def test_the_mfcc_recomputed_is_that_of_the_extraction() -> None:
    time = np.arange(22050) / 22050
    sound = (0.3 * np.sin(2 * np.pi * (200 * time + 900 * time**2))).astype(np.float32)
    mel, mfcc = features(sound, rate_hz=22050, n_fft=1024, hop=256, mels=64, coefficients=13, top_db=80.0)
    found = audio.cepstrum(torch.from_numpy(mel)[None], 13)[0]
    assert np.allclose(found.numpy(), mfcc, atol=1e-3)


@pytest.mark.parametrize("options", [*EACH_AUDIO, ALL_AUDIO], ids=str)
def test_the_mfcc_follows_the_log_mel_and_clips_are_changed_apart(options: dict[str, float]) -> None:
    clips = batch(8)
    mel = clips.mel[:1].expand_as(clips.mel).contiguous()
    changed = augment(audio=options)(clips._replace(mel=mel))
    assert not torch.equal(changed.mel, changed.mel[:1].expand_as(changed.mel))
    coef, band = np.arange(13)[:, None], np.arange(32)
    dct = np.cos(np.pi / 32 * (band + 0.5) * coef) * math.sqrt(2 / 32)
    dct[0] /= math.sqrt(2)
    assert np.allclose(changed.mfcc.numpy(), dct @ changed.mel.double().numpy(), atol=1e-3)


def test_gain_moves_the_loudness_and_nothing_else() -> None:
    clips = batch(300)
    changed = augment(audio={"gain_db": 6.0})(clips)
    gain = (changed.mel - clips.mel).mean(dim=(1, 2))
    assert torch.allclose(changed.mel, clips.mel + gain[:, None, None], atol=1e-4)
    assert -6 <= gain.min() < -5.5 and 5.5 < gain.max() <= 6
    moved = changed.mfcc - clips.mfcc
    assert torch.allclose(moved[:, 0], (gain * math.sqrt(32))[:, None].expand(-1, 50), atol=1e-3)
    assert moved[:, 1:].abs().max() < 1e-3


def test_noise_has_its_level_and_the_spread_of_a_periodogram() -> None:
    mel = torch.full((4, 128, 212), -90.0)
    mel[:, 5, 7] = torch.tensor([0.0, -10.0, 20.0, 5.0])
    changed = augment(audio={"noise": 1.0, "noise_db": -20.0})(batch(4)._replace(mel=mel)).mel
    power = 10 ** (changed.double() / 10 - mel[:, 5, 7, None, None] / 10)
    power[:, 5, 7] = 0.01
    assert torch.allclose(power.mean(dim=(1, 2)), torch.tensor(0.01).double(), rtol=0.03)
    assert torch.allclose(power.std(dim=(1, 2)), torch.tensor(0.01).double(), rtol=0.05)  # exponential: as the mean
    assert (changed[:, 5, 7] - mel[:, 5, 7]).abs().max() < 0.5
    assert (changed >= mel - 1e-4).all()


def test_noise_befalls_as_many_clips_as_asked_and_spares_the_others() -> None:
    clips = batch(600)
    changed = augment(audio={"noise": 0.3})(clips).mel
    spared = (changed == clips.mel).all(dim=2).all(dim=1)
    assert 0.63 < spared.float().mean() < 0.77


@given(by=st.integers(-5, 5))
def test_a_shifted_voice_leaves_silence_behind(by: int) -> None:
    mel = batch(2).mel[:, :, :5] - torch.tensor([100.0, 0.0])[:, None, None]  # silence is each clip's own
    shifted = audio.shifted(mel, torch.tensor([0.0, by]))
    assert torch.equal(shifted[0], mel[0])
    for step in range(5):
        source = step - by
        expected = mel[1, :, source] if 0 <= source < 5 else mel[1].min().expand(32)
        assert torch.equal(shifted[1, :, step], expected)


def test_voices_shift_as_far_as_asked() -> None:
    mel = torch.zeros(500, 2, 50)
    mel[:, :, 25] = 1
    at = augment(audio={"shift": 0.1})(batch(500)._replace(mel=mel, mfcc=mel)).mel[:, 0].argmax(dim=1)
    assert at.unique().tolist() == [*range(20, 31)]


@pytest.mark.parametrize(("kind", "across"), [("time", 1), ("band", 2)])
@pytest.mark.parametrize("count", [1, 3])
def test_masks_are_as_many_and_as_long_as_asked_and_take_the_mean(kind: str, across: int, count: int) -> None:
    clips = batch(500)
    changed = augment(audio={f"{kind}_masks": count, f"{kind}_mask": 0.2})(clips).mel
    hidden = changed != clips.mel
    mean = clips.mel.mean(dim=(1, 2), keepdim=True).expand_as(changed)
    assert torch.allclose(changed[hidden], mean[hidden], atol=1e-4)
    cells = hidden.any(dim=across)
    assert torch.equal(cells, hidden.all(dim=across))
    edges = F.pad(cells.int(), (1, 1)).diff(dim=1)
    stretches, longest = (edges == 1).sum(dim=1), round(0.2 * cells.shape[1])
    assert stretches.max() == count
    if count == 1:
        assert cells.sum(dim=1).unique().tolist() == [*range(longest + 1)]
        assert cells.any(dim=0).all()
    assert cells.sum(dim=1).max() <= count * longest


# --- one modality less


@pytest.mark.parametrize("probability", [0.4, 1.0])
def test_a_clip_loses_the_face_or_the_voice_and_never_both(probability: float) -> None:
    clips = batch(1000, times=2, height=3, width=3)
    changed = augment(modality_dropout=probability)(clips)
    face = (changed.frames != clips.frames).flatten(1).any(dim=1)
    voice = (changed.mel != clips.mel).flatten(1).any(dim=1)
    assert torch.equal(voice, (changed.mfcc != clips.mfcc).flatten(1).any(dim=1))
    assert not (face & voice).any()
    for lost in (face, voice):
        assert lost.float().mean() == pytest.approx(probability / 2, abs=0.05)
    if probability == 1:
        assert (face | voice).all()
    colour = clips.frames.float().mean(dim=(0, 1, 2, 3))
    assert torch.allclose(changed.frames[face], colour.expand_as(changed.frames[face]), atol=1e-3)
    for before, after in ((clips.mel, changed.mel), (clips.mfcc, changed.mfcc)):
        mean = before.mean(dim=(0, 2))[:, None]
        assert torch.allclose(after[voice], mean.expand_as(after[voice]), atol=1e-3)


def test_what_stands_for_a_voice_is_still_a_log_mel_and_its_mfcc() -> None:
    changed = augment(modality_dropout=1.0)(batch(20))
    assert torch.allclose(changed.mfcc, audio.cepstrum(changed.mel, 13), atol=1e-3)


def test_a_batch_that_loses_no_face_keeps_its_bytes() -> None:
    clips = batch(2)
    kept = [augment(modality_dropout=1e-6, seed=seed)(clips) for seed in range(5)]
    assert all(one.frames is clips.frames and one.mel is clips.mel for one in kept)
