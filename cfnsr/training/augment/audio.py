"""Augment the log-mel, and compute its MFCC again.

Options: ``gain_db``, largest change of loudness in dB; ``shift``, largest shift in time as a share of the window;
``noise``, probability that a clip gets noise, and ``noise_db``, the noise's level in dB relative to the clip's loudest
value (so below 0); ``time_masks`` and ``band_masks``, number of masks along time and along mel bands, and ``time_mask``
and ``band_mask``, the largest share of all steps or bands that one mask covers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cfnsr.training.augment.draws import Draws


def augment(
    mel: Float[Tensor, "batch mel step"], options: Mapping[str, float], draws: Draws
) -> Float[Tensor, "batch mel step"]:
    """Augment a batch of log-mels; returns the same tensor where all options are off."""
    if options["gain_db"]:
        mel = mel + draws.symmetric(options["gain_db"], len(mel), 1, 1)
    if options["shift"]:
        steps = mel.shape[2]
        mel = shift(mel, (draws.symmetric(options["shift"], len(mel)) * steps).round())
    if options["noise"]:
        noisy = draws.bernoulli(options["noise"], len(mel), 1, 1)
        mel = torch.where(noisy, _add_noise(mel, options["noise_db"], draws), mel)
    return _mask(mel, options, draws)


def shift(mel: Float[Tensor, "batch mel step"], steps: Float[Tensor, " batch"]) -> Float[Tensor, "batch mel step"]:
    """Shift each clip later by ``steps``; uncovered steps take the clip's quietest value."""
    last = mel.shape[2] - 1
    source = torch.arange(last + 1, device=mel.device) - steps[:, None, None].long()
    clamped = source.clamp(0, last)
    return torch.where(source == clamped, mel.gather(2, clamped.expand_as(mel)), mel.amin(dim=(1, 2), keepdim=True))


def _add_noise(mel: Float[Tensor, "batch mel step"], level_db: float, draws: Draws) -> Float[Tensor, "batch mel step"]:
    """Add white noise of a level in dB relative to each clip's loudest value."""
    level = mel.amax(dim=(1, 2), keepdim=True) + level_db
    # A periodogram of white noise has an exponential power, chi-square with 2 degrees of freedom; here of mean 1.
    fluctuation = -torch.log1p(-draws.uniform(*mel.shape))
    return 10 * torch.log10(10 ** (mel / 10) + 10 ** (level / 10) * fluctuation)


def _mask(
    mel: Float[Tensor, "batch mel step"], options: Mapping[str, float], draws: Draws
) -> Float[Tensor, "batch mel step"]:
    """Mask as SpecAugment does without its warp (arXiv:1904.08779); masked cells take the clip's mean."""
    mean = mel.mean(dim=(1, 2), keepdim=True)
    batch, bands, steps = mel.shape
    if options["time_masks"] and options["time_mask"]:
        masked = _draw_masks((batch, int(options["time_masks"]), steps), options["time_mask"], draws)
        mel = torch.where(masked[:, None, :], mean, mel)
    if options["band_masks"] and options["band_mask"]:
        masked = _draw_masks((batch, int(options["band_masks"]), bands), options["band_mask"], draws)
        mel = torch.where(masked[:, :, None], mean, mel)
    return mel


def _draw_masks(shape: tuple[int, int, int], largest: float, draws: Draws) -> Bool[Tensor, "batch cell"]:
    """Draw which cells of a row are masked.

    Args:
        shape: clips, masks a clip, cells of the row.
        largest: largest share of the row that one mask covers.
        draws: source of the random numbers.
    """
    batch, masks, cells = shape
    length = (draws.uniform(batch, masks, 1) * (round(largest * cells) + 1)).floor()
    start = (draws.uniform(batch, masks, 1) * (cells - length + 1)).floor()
    position = torch.arange(cells, device=start.device)
    return ((position >= start) & (position < start + length)).any(dim=1)


def cepstrum(mel: Float[Tensor, "batch mel step"], coefficients: int) -> Float[Tensor, "batch coef step"]:
    """Compute the MFCC of a log-mel as ``cfnsr.preprocessing.audio.features`` does."""
    return _dct(coefficients, mel.shape[1], mel.device) @ mel


@cache
def _dct(coefficients: int, mels: int, device: torch.device) -> Float[Tensor, "coef mel"]:
    # Imported here, so that training without these options starts without torchaudio.
    from torchaudio.functional import create_dct

    return create_dct(coefficients, mels, norm="ortho").T.to(device)
