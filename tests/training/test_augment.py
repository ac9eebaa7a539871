from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
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
from tests.support.training import AUDIO_OFF, VIDEO_OFF

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
) -> Callable[[Batch], Batch]:
    """Return a function that augments with only the given options on."""
    augment = Augment(
        video={**VIDEO_OFF, **(video or {})}, audio={**AUDIO_OFF, **(audio or {})}, modality_dropout=modality_dropout
    )
    return partial(augment, generator=seeded(seed))


def batch(clips: int = 6, *, times: int = 4, height: int = 16, width: int = 12, low: int = 0, high: int = 256) -> Batch:
    """Make clips of noise; the MFCC is that of the log-mel."""
    generator = torch.Generator().manual_seed(1)
    frames = torch.randint(low, high, (clips, times, height, width, 3), dtype=torch.uint8, generator=generator)
    mel = 20 * torch.randn(clips, 32, 50, generator=generator) - 30
    return Batch({"frames": frames, "mel": mel, "mfcc": audio.cepstrum(mel, 13)}, torch.arange(clips))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same(first: Batch, second: Batch) -> bool:
    return all(torch.equal(first[name], second[name]) for name in ("frames", "mel", "mfcc"))


def columns_and_rows(clips: int, side: int = 64) -> Batch:
    """Make pictures that show each pixel's origin: red is four times its column, green four times its row."""
    frames = torch.zeros(clips, 2, side, side, 3, dtype=torch.uint8)
    frames[..., 0] = 4 * torch.arange(side)
    frames[..., 1] = 4 * torch.arange(side)[:, None]
    return batch(clips).replace(frames=frames)


# --- all options


@pytest.mark.parametrize(
    "options", [{}, {"time_masks": 2, "time_mask": 0.0}, {"band_masks": 2, "band_mask": 0.0}], ids=str
)
def test_options_that_are_off_draw_nothing(options: dict[str, float]) -> None:
    """They return the same tensor objects."""
    off, clips, generator = (
        Augment(video=VIDEO_OFF, audio=AUDIO_OFF | options, modality_dropout=0.0),
        batch(),
        seeded(0),
    )
    after = off(clips, generator)
    assert all(after[name] is clips[name] for name in clips.arrays) and after.label is clips.label
    assert torch.equal(generator.get_state(), seeded(0).get_state())


def test_each_modality_is_augmented_alone() -> None:
    clips = batch()
    new_video, new_audio = augment(video=ALL_VIDEO)(clips), augment(audio=ALL_AUDIO)(clips)
    assert new_video["mel"] is clips["mel"] and new_video["mfcc"] is clips["mfcc"]
    assert not torch.equal(new_video["frames"], clips["frames"])
    assert new_audio["frames"] is clips["frames"] and not torch.equal(new_audio["mel"], clips["mel"])
    assert not torch.equal(new_audio["mfcc"], clips["mfcc"])


@settings(max_examples=25)
@given(
    video=st.lists(st.sampled_from([*EACH_VIDEO, {"jitter": 2}])),
    audio=st.lists(st.sampled_from(EACH_AUDIO)),
    lost=st.sampled_from([0.0, 0.5, 1.0]),
    sides=st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 2**63 - 1),
)
def test_shapes_scales_and_inputs_are_kept(
    video: list[dict[str, float]], audio: list[dict[str, float]], lost: float, sides: tuple[int, ...], seed: int
) -> None:
    count, times, height, width = sides
    clips = batch(count, times=times, height=height, width=width)
    copy = clips.replace(**{name: value.clone() for name, value in clips.arrays.items()})
    options: Any = [{name: value for part in parts for name, value in part.items()} for parts in (video, audio)]
    changed = augment(*options, modality_dropout=lost, seed=seed)(clips)
    assert same(clips, copy)
    for name, before in clips.arrays.items():
        after = changed[name]
        assert after.shape == before.shape and after.is_contiguous() and not after.requires_grad
        assert after.isfinite().all() and after.dtype in (before.dtype, torch.float32)
    assert changed["frames"].min() >= 0 and changed["frames"].max() <= 255
    assert changed.label is clips.label
    if not lost and set(options[0]) <= {"flip", "shift", "jitter"}:
        assert changed["frames"].dtype == torch.uint8


def test_generators_alone_decide_the_draws() -> None:
    everything = Augment(video=VIDEO_OFF | ALL_VIDEO, audio=AUDIO_OFF | ALL_AUDIO, modality_dropout=0.3)
    clips, generator = batch(), seeded(3)
    first, second = everything(clips, generator), everything(clips, generator)
    assert same(first, everything(clips, seeded(3))) and not torch.equal(first["mel"], second["mel"])
    assert not torch.equal(first["mel"], everything(clips, seeded(4))["mel"])


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.set_deterministic_debug_mode("error")
    yield
    torch.set_deterministic_debug_mode("default")


def test_all_operations_are_deterministic(deterministic: None) -> None:
    augment(ALL_VIDEO, ALL_AUDIO, modality_dropout=0.5)(batch())


def test_augmented_batches_can_be_trained_on() -> None:
    changed = augment(ALL_VIDEO, ALL_AUDIO)(batch())
    weight = torch.ones(1, requires_grad=True)
    ((changed["frames"] * weight).mean() + (changed["mfcc"] * weight).mean()).backward()
    assert weight.grad is not None


# --- frames


@pytest.mark.parametrize("options", [*EACH_VIDEO, {**ALL_VIDEO, "jitter": 0}], ids=str)
def test_frames_of_one_clip_change_alike(options: dict[str, float]) -> None:
    clips = batch(8)
    still = clips.replace(frames=clips["frames"][:1, :1].expand_as(clips["frames"]).contiguous())
    changed = augment(video=options)(still)["frames"]
    assert torch.equal(changed, changed[:, :1].expand_as(changed))
    assert not torch.equal(changed, changed[:1].expand_as(changed))


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    flip=st.sampled_from([0.0, 0.5, 1.0]),
    shift=st.floats(0.0, 0.9),
    seed=st.integers(0, 2**31),
)
def test_moves_are_whole_pixels_and_repeat_edges(height: int, width: int, flip: float, shift: float, seed: int) -> None:
    clips = batch(3, times=2, height=height, width=width)
    changed = augment(video={"flip": flip, "shift": shift}, seed=seed)(clips)["frames"].numpy()
    for before, after in zip(clips["frames"].numpy(), changed, strict=True):
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


def test_flips_and_shifts_follow_their_options() -> None:
    clips = columns_and_rows(2000, side=16)
    mirrored = augment(video={"flip": 0.3})(clips)["frames"][:, 0, 0, 0, 0] > 0
    assert 0.25 < mirrored.float().mean() < 0.35
    middle = augment(video={"shift": 0.2})(clips)["frames"][:, 0, 8, 8]
    for shift in (middle[:, 0].int() // 4 - 8, middle[:, 1].int() // 4 - 8):
        assert shift.unique().tolist() == [*range(-3, 4)]


def test_crops_are_cut_out_and_resized() -> None:
    clips = batch(2, height=16, width=24)["frames"]
    top, left, height, width = torch.tensor([[2, 5], [3, 0], [8, 10], [12, 18]])
    changed = video.crop(clips, top / 16, left / 24, height / 16, width / 24)
    for clip in range(2):
        y, x = slice(top[clip], top[clip] + height[clip]), slice(left[clip], left[clip] + width[clip])
        piece = clips[clip, :, y, x].permute(0, 3, 1, 2).float()
        expected = F.interpolate(piece, size=(16, 24), mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
        # At its rim the crop knows the pixels beyond, the piece does not.
        assert torch.allclose(changed[clip, :, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=1e-2)


def test_a_whole_crop_is_the_picture() -> None:
    clips = batch(1)["frames"]
    none, whole = torch.zeros(1), torch.ones(1)
    assert torch.allclose(video.crop(clips, none, none, whole, whole), clips.float(), atol=1e-3)


@settings(max_examples=15)
@given(scale=st.floats(0.2, 0.95), ratio=st.floats(1.0, 3.0), seed=st.integers(0, 2**31))
def test_crops_keep_area_and_ratio_within_bounds(scale: float, ratio: float, seed: int) -> None:
    changed = augment(video={"crop_scale": scale, "crop_ratio": ratio}, seed=seed)(columns_and_rows(40))["frames"]
    width = (changed[:, 0, 32, 48, 0] - changed[:, 0, 32, 16, 0]) / 4 / 32
    height = (changed[:, 0, 48, 32, 1] - changed[:, 0, 16, 32, 1]) / 4 / 32
    area, stretch = width * height, width / height
    assert area.min() > scale - 1e-3 and area.max() < 1 + 1e-3
    assert stretch.max() < ratio + 1e-3 and stretch.min() > 1 / ratio - 1e-3
    for side, middle in ((width, changed[:, 0, 32, 32, 0]), (height, changed[:, 0, 32, 32, 1])):
        centre = (middle / 4 + 0.5 - side / 2) / 64  # the middle pixel lies half an output pixel past the centre
        assert (centre - side / 2).min() > -1e-3 and (centre + side / 2).max() < 1 + 1e-3


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_colours_are_scaled_about_their_centre(name: str) -> None:
    clips = batch(200, low=100, high=150)
    before, after = clips["frames"].double(), augment(video={name: 0.4})(clips)["frames"].double()
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


def test_colours_stay_between_0_and_255() -> None:
    changed = augment(video={"brightness": 0.9, "contrast": 0.9, "saturation": 0.9})(batch(50))["frames"]
    assert changed.min() == 0 and changed.max() == 255


def test_jitter_takes_nearby_frames_in_order() -> None:
    frames = torch.arange(20, dtype=torch.uint8)[:, None, None, None].expand(300, 20, 3, 2, 3).contiguous()
    changed = augment(video={"jitter": 2})(batch(300).replace(frames=frames))["frames"]
    assert torch.equal(changed, changed[:, :, :1, :1, :1].expand_as(changed))
    order = changed[:, :, 0, 0, 0].int()
    off = order - torch.arange(20)
    assert (order.diff(dim=1) >= 0).all() and order.min() == 0 and order.max() == 19
    assert off.unique().tolist() == [-2, -1, 0, 1, 2]


# --- sound


def test_recomputed_mfcc_equals_the_extracted() -> None:
    time = np.arange(22050) / 22050
    sound = (0.3 * np.sin(2 * np.pi * (200 * time + 900 * time**2))).astype(np.float32)
    extracted = features(sound, rate_hz=22050, n_fft=1024, hop=256, mels=64, coefficients=13, top_db=80.0)
    recomputed = audio.cepstrum(torch.from_numpy(extracted["mel"])[None], 13)[0]
    assert np.allclose(recomputed.numpy(), extracted["mfcc"], atol=1e-3)


@pytest.mark.parametrize("options", [*EACH_AUDIO, ALL_AUDIO], ids=str)
def test_mfcc_follows_the_augmented_log_mel(options: dict[str, float]) -> None:
    clips = batch(8)
    mel = clips["mel"][:1].expand_as(clips["mel"]).contiguous()
    changed = augment(audio=options)(clips.replace(mel=mel))
    assert not torch.equal(changed["mel"], changed["mel"][:1].expand_as(changed["mel"]))
    coef, band = np.arange(13)[:, None], np.arange(32)
    dct = np.cos(np.pi / 32 * (band + 0.5) * coef) * math.sqrt(2 / 32)
    dct[0] /= math.sqrt(2)
    assert np.allclose(changed["mfcc"].numpy(), dct @ changed["mel"].double().numpy(), atol=1e-3)


def test_gain_changes_only_the_loudness() -> None:
    clips = batch(300)
    changed = augment(audio={"gain_db": 6.0})(clips)
    gain = (changed["mel"] - clips["mel"]).mean(dim=(1, 2))
    assert torch.allclose(changed["mel"], clips["mel"] + gain[:, None, None], atol=1e-4)
    assert -6 <= gain.min() < -5.5 and 5.5 < gain.max() <= 6
    moved = changed["mfcc"] - clips["mfcc"]
    assert torch.allclose(moved[:, 0], (gain * math.sqrt(32))[:, None].expand(-1, 50), atol=1e-3)
    assert moved[:, 1:].abs().max() < 1e-3


def test_noise_has_the_given_level() -> None:
    mel = torch.full((4, 128, 212), -90.0)
    mel[:, 5, 7] = torch.tensor([0.0, -10.0, 20.0, 5.0])
    changed = augment(audio={"noise": 1.0, "noise_db": -20.0})(batch(4).replace(mel=mel))["mel"]
    power = 10 ** (changed.double() / 10 - mel[:, 5, 7, None, None] / 10)
    power[:, 5, 7] = 0.01
    assert torch.allclose(power.mean(dim=(1, 2)), torch.tensor(0.01).double(), rtol=0.03)
    assert torch.allclose(power.std(dim=(1, 2)), torch.tensor(0.01).double(), rtol=0.05)  # exponential: as the mean
    assert (changed[:, 5, 7] - mel[:, 5, 7]).abs().max() < 0.5
    assert (changed >= mel - 1e-4).all()


def test_noise_is_added_to_a_share_of_clips() -> None:
    clips = batch(600)
    changed = augment(audio={"noise": 0.3})(clips)["mel"]
    spared = (changed == clips["mel"]).all(dim=2).all(dim=1)
    assert 0.63 < spared.float().mean() < 0.77


@given(by=st.integers(-5, 5))
def test_shifted_sound_leaves_silence(by: int) -> None:
    mel = batch(2)["mel"][:, :, :5] - torch.tensor([100.0, 0.0])[:, None, None]  # silence is each clip's own
    shifted = audio.shift(mel, torch.tensor([0.0, by]))
    assert torch.equal(shifted[0], mel[0])
    for step in range(5):
        source = step - by
        expected = mel[1, :, source] if 0 <= source < 5 else mel[1].min().expand(32)
        assert torch.equal(shifted[1, :, step], expected)


def test_sound_shifts_within_the_given_range() -> None:
    mel = torch.zeros(500, 2, 50)
    mel[:, :, 25] = 1
    loudest = augment(audio={"shift": 0.1})(batch(500).replace(mel=mel, mfcc=mel))["mel"][:, 0].argmax(dim=1)
    assert loudest.unique().tolist() == [*range(20, 31)]


@pytest.mark.parametrize(("kind", "across"), [("time", 1), ("band", 2)])
@pytest.mark.parametrize("count", [1, 3])
def test_masks_follow_options_and_take_the_mean(kind: str, across: int, count: int) -> None:
    clips = batch(500)
    changed = augment(audio={f"{kind}_masks": count, f"{kind}_mask": 0.2})(clips)["mel"]
    hidden = changed != clips["mel"]
    mean = clips["mel"].mean(dim=(1, 2), keepdim=True).expand_as(changed)
    assert torch.allclose(changed[hidden], mean[hidden], atol=1e-4)
    masked = hidden.any(dim=across)
    assert torch.equal(masked, hidden.all(dim=across))
    edges = F.pad(masked.int(), (1, 1)).diff(dim=1)
    stretches, longest = (edges == 1).sum(dim=1), round(0.2 * masked.shape[1])
    assert stretches.max() == count
    if count == 1:
        assert masked.sum(dim=1).unique().tolist() == [*range(longest + 1)]
        assert masked.any(dim=0).all()
    assert masked.sum(dim=1).max() <= count * longest


# --- modality dropout


@pytest.mark.parametrize("probability", [0.4, 1.0])
def test_a_clip_loses_one_modality_at_most(probability: float) -> None:
    clips = batch(1000, times=2, height=3, width=3)
    changed = augment(modality_dropout=probability)(clips)
    no_video = (changed["frames"] != clips["frames"]).flatten(1).any(dim=1)
    no_audio = (changed["mel"] != clips["mel"]).flatten(1).any(dim=1)
    assert torch.equal(no_audio, (changed["mfcc"] != clips["mfcc"]).flatten(1).any(dim=1))
    assert not (no_video & no_audio).any()
    for lost in (no_video, no_audio):
        assert lost.float().mean() == pytest.approx(probability / 2, abs=0.05)
    if probability == 1:
        assert (no_video | no_audio).all()
    colour = clips["frames"].float().mean(dim=(0, 1, 2, 3))
    assert torch.allclose(changed["frames"][no_video], colour.expand_as(changed["frames"][no_video]), atol=1e-3)
    for before, after in ((clips["mel"], changed["mel"]), (clips["mfcc"], changed["mfcc"])):
        mean = before.mean(dim=(0, 2))[:, None]
        assert torch.allclose(after[no_audio], mean.expand_as(after[no_audio]), atol=1e-3)


def test_replaced_mfcc_is_that_of_the_log_mel() -> None:
    changed = augment(modality_dropout=1.0)(batch(20))
    assert torch.allclose(changed["mfcc"], audio.cepstrum(changed["mel"], 13), atol=1e-3)


def test_batches_that_lose_nothing_are_unchanged() -> None:
    clips = batch(2)
    kept = [augment(modality_dropout=1e-6, seed=seed)(clips) for seed in range(5)]
    assert all(batch[name] is clips[name] for batch in kept for name in ("frames", "mel"))
