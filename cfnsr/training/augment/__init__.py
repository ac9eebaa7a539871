"""Change training clips at random, on the device that the batch is on."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Real
from torch import Tensor

from cfnsr.models.types import Batch
from cfnsr.training.augment import audio, video
from cfnsr.training.augment.draws import Draws


class Augment:
    """Augment training batches: one draw a clip, the same for all its frames.

    An option that is off (0; for ``crop_scale`` and ``crop_ratio`` 1) draws nothing and leaves its tensor as it is.
    Modality dropout comes last: its replacement is the mean of the augmented batch. Arrays other than ``frames``,
    ``mel`` and ``mfcc`` are sound: modality dropout replaces them too, nothing else changes them.

    Args:
        video: ``flip``, ``shift``, ``crop_scale``, ``crop_ratio``, ``brightness``, ``contrast``, ``saturation`` and
            ``jitter``, as in ``augment.video``.
        audio: ``gain_db``, ``noise``, ``noise_db``, ``shift``, ``time_masks``, ``time_mask``, ``band_masks`` and
            ``band_mask``, as in ``augment.audio``.
        modality_dropout: probability that a clip loses one modality, video or audio with equal chance, never both.
            Frames become the batch's mean colour, audio features the batch's mean of each band or coefficient.
    """

    def __init__(self, *, video: Mapping[str, float], audio: Mapping[str, float], modality_dropout: float) -> None:
        self._video, self._audio, self._modality_dropout = dict(video), dict(audio), modality_dropout

    # no_grad and not inference_mode, whose tensors cannot be saved for a backward pass.
    @torch.no_grad()
    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return the augmented batch; the tensors of ``batch`` stay as they are.

        Frames stay uint8 where whole pixels were moved; where values changed they are float32, 0 to 255.

        Args:
            batch: as the data loader yields it.
            generator: source of all random numbers, on the CPU.
        """
        draws = Draws(generator, batch.label.device)
        changed: dict[str, Tensor] = {}
        if "frames" in batch.arrays:
            changed["frames"] = video.augment(batch["frames"], self._video, draws)
        if "mel" in batch.arrays:
            mel = changed["mel"] = audio.augment(batch["mel"], self._audio, draws)
            if "mfcc" in batch.arrays and mel is not batch["mel"]:
                changed["mfcc"] = audio.cepstrum(mel, batch["mfcc"].shape[1])
        return self._drop_modality(batch.replace(**changed), generator)

    def _drop_modality(self, batch: Batch, generator: torch.Generator) -> Batch:
        if not self._modality_dropout:
            return batch
        # One number decides on both modalities, so that a clip never loses both. It stays on the CPU, so that
        # the CPU does not wait for a GPU.
        drawn = torch.rand(len(batch), generator=generator) / self._modality_dropout
        loses_video, loses_audio = drawn < 0.5, (drawn >= 0.5) & (drawn < 1.0)
        return batch.replace(
            **{
                name: _replace_by_mean(loses_video, values, dims=tuple(range(values.dim() - 1)))
                if name == "frames"
                else _replace_by_mean(loses_audio, values, dims=(0, values.dim() - 1))
                for name, values in batch.arrays.items()
            }
        )


def _replace_by_mean(
    lost: Bool[Tensor, " batch"], values: Real[Tensor, "batch ..."], *, dims: tuple[int, ...]
) -> Real[Tensor, "batch ..."]:
    """Replace the lost clips by the mean over some dimensions of the batch."""
    if not lost.any():
        return values
    lost = lost.to(values.device).view(-1, *[1] * (values.dim() - 1))
    return torch.where(lost, values.mean(dim=dims, keepdim=True, dtype=torch.float32), values)
