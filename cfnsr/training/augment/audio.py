"""Log-mel -> the same louder, later, noisier or masked, and its MFCC.

The options: ``gain_db``, the largest change of loudness in dB; ``shift``, the largest shift in time as a share of the
window; ``noise``, the probability that a clip gets noise, and ``noise_db``, its level in dB above the clip's loudest
value (so below 0); ``time_masks`` and ``band_masks``, how many stretches of time and of mel bands are masked, and
``time_mask`` and ``band_mask``, the largest share of all that one of them covers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cfnsr.training.augment.chance import Chance


def augment(
    mel: Float[Tensor, "batch mel step"], options: Mapping[str, float], chance: Chance
) -> Float[Tensor, "batch mel step"]:
    """The same tensor where all is off."""
    if options["gain_db"]:
        mel = mel + chance.within(options["gain_db"], len(mel), 1, 1)
    if options["shift"]:
        steps = mel.shape[2]
        mel = shifted(mel, (chance.within(options["shift"], len(mel)) * steps).round())
    if options["noise"]:
        noisy = chance.happens(options["noise"], len(mel), 1, 1)
        mel = torch.where(noisy, _with_noise(mel, options["noise_db"], chance), mel)
    return _masked(mel, options, chance)


def shifted(mel: Float[Tensor, "batch mel step"], by: Float[Tensor, " batch"]) -> Float[Tensor, "batch mel step"]:
    """Each clip so many steps later; what that uncovers is the clip's quietest value."""
    last = mel.shape[2] - 1
    source = torch.arange(last + 1, device=mel.device) - by[:, None, None].long()
    within = source.clamp(0, last)
    return torch.where(source == within, mel.gather(2, within.expand_as(mel)), mel.amin(dim=(1, 2), keepdim=True))


def _with_noise(
    mel: Float[Tensor, "batch mel step"], level_db: float, chance: Chance
) -> Float[Tensor, "batch mel step"]:
    level = mel.amax(dim=(1, 2), keepdim=True) + level_db
    # A periodogram of white noise has an exponential power, chi-square with 2 degrees of freedom; here of mean 1.
    fluctuation = -torch.log1p(-chance.share(*mel.shape))
    return 10 * torch.log10(10 ** (mel / 10) + 10 ** (level / 10) * fluctuation)


def _masked(
    mel: Float[Tensor, "batch mel step"], options: Mapping[str, float], chance: Chance
) -> Float[Tensor, "batch mel step"]:
    """SpecAugment without its warp (Park et al. 2019, arXiv:1904.08779): what is masked takes the clip's mean."""
    mean = mel.mean(dim=(1, 2), keepdim=True)
    batch, bands, steps = mel.shape
    if options["time_masks"] and options["time_mask"]:
        hidden = _hidden((batch, int(options["time_masks"]), steps), options["time_mask"], chance)
        mel = torch.where(hidden[:, None, :], mean, mel)
    if options["band_masks"] and options["band_mask"]:
        hidden = _hidden((batch, int(options["band_masks"]), bands), options["band_mask"], chance)
        mel = torch.where(hidden[:, :, None], mean, mel)
    return mel


def _hidden(shape: tuple[int, int, int], largest: float, chance: Chance) -> Bool[Tensor, "batch cell"]:
    """Which of the cells in a row are under a mask, for so many clips, masks and cells."""
    batch, masks, cells = shape
    length = (chance.share(batch, masks, 1) * (round(largest * cells) + 1)).floor()
    start = (chance.share(batch, masks, 1) * (cells - length + 1)).floor()
    cell = torch.arange(cells, device=start.device)
    return ((cell >= start) & (cell < start + length)).any(dim=1)


def cepstrum(mel: Float[Tensor, "batch mel step"], coefficients: int) -> Float[Tensor, "batch coef step"]:
    """The MFCC of a log-mel, as ``cfnsr.preprocessing.audio.features`` computes it."""
    return _dct(coefficients, mel.shape[1], mel.device) @ mel


@cache
def _dct(coefficients: int, mels: int, device: torch.device) -> Float[Tensor, "coef mel"]:
    # Imported when first needed: training without these options starts without torchaudio.
    from torchaudio.functional import create_dct

    return create_dct(coefficients, mels, norm="ortho").T.to(device)
