"""Augmentation options that change nothing."""

from __future__ import annotations

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
