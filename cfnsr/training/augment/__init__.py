"""A training batch, each of its clips changed by chance as a whole, on the device it is on."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Real
from torch import Tensor

from cfnsr.models.types import Batch
from cfnsr.training.augment import audio, video
from cfnsr.training.augment.chance import Chance


class Augment:
    """Changes training batches: a frame is never treated apart from its clip, nor a clip like its neighbour.

    An option that is off (0, or 1.0 of ``crop_scale``) draws nothing, and leaves what it would change the tensor it
    was. A lost modality is lost last: what stands in for it is the mean of the batch as changed.

    Args:
        video: ``flip``, ``shift``, ``crop_scale``, ``crop_ratio``, ``brightness``, ``contrast``, ``saturation`` and
            ``jitter``, as in ``augment.video``.
        audio: ``gain_db``, ``noise``, ``noise_db``, ``shift``, ``time_masks``, ``time_mask``, ``band_masks`` and
            ``band_mask``, as in ``augment.audio``.
        modality_dropout: probability that a clip loses the face or the voice, either with equal chance, never both.
            The face becomes the batch's mean colour, the voice its mean value of each mel band and coefficient.
        seed: of all that is drawn.

    Attributes:
        generator: on the CPU, where all chance comes from; its state continues a run that was stopped.
    """

    def __init__(
        self, *, video: Mapping[str, float], audio: Mapping[str, float], modality_dropout: float, seed: int
    ) -> None:
        self._video, self._audio, self._modality_dropout = dict(video), dict(audio), modality_dropout
        self.generator = torch.Generator().manual_seed(seed)

    # Not inference_mode: what comes of that cannot be kept for a backward pass.
    @torch.no_grad()
    def __call__(self, batch: Batch) -> Batch:
        """The batch changed, its own tensors left as they are.

        Frames stay uint8 where whole pixels moved; changed in value, they are float32, 0 to 255.
        """
        chance = Chance(self.generator, batch.frames.device)
        frames = video.augment(batch.frames, self._video, chance)
        mel = audio.augment(batch.mel, self._audio, chance)
        mfcc = batch.mfcc if mel is batch.mel else audio.cepstrum(mel, batch.mfcc.shape[1])
        return self._incomplete(batch._replace(frames=frames, mel=mel, mfcc=mfcc))

    def _incomplete(self, batch: Batch) -> Batch:
        if not self._modality_dropout:
            return batch
        # One value decides on both, so never both; on the CPU, for a GPU not to be waited for.
        drawn = torch.rand(len(batch.frames), generator=self.generator) / self._modality_dropout
        face, voice = drawn < 0.5, (drawn >= 0.5) & (drawn < 1.0)
        return batch._replace(
            frames=_without(face, batch.frames, over=(0, 1, 2, 3)),
            mel=_without(voice, batch.mel, over=(0, 2)),
            mfcc=_without(voice, batch.mfcc, over=(0, 2)),
        )


def _without(
    lost: Bool[Tensor, " batch"], values: Real[Tensor, "batch ..."], *, over: tuple[int, ...]
) -> Real[Tensor, "batch ..."]:
    """The values, of the lost clips their mean over some dimensions."""
    if not lost.any():
        return values
    lost = lost.to(values.device).view(-1, *[1] * (values.dim() - 1))
    return torch.where(lost, values.mean(dim=over, keepdim=True, dtype=torch.float32), values)
