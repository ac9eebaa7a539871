"""Multimodal compact bilinear pooling: every feature of the face times every feature of the voice, in short.

    sketch(x)_k = sum over i with h(i) = k of s(i) x_i      h: feature -> 0..d-1, s: feature -> -1 or 1, drawn once
    z = irfft(rfft(sketch(V)) * rfft(sketch(A)))            the sketch of the outer product of V and A
    logits = W_2 relu(W_1 (y / |y|))    y = z / sqrt(|z| + epsilon), which is sign(z) sqrt(|z|) but at 0

Gao, Beijbom, Zhang and Darrell, "Compact Bilinear Pooling", arXiv:1511.06062 (2016); Fukui et al., "Multimodal Compact
Bilinear Pooling for Visual Question Answering and Visual Grounding", arXiv:1606.01847 (2016).

Options, with the values that reach the published parameter count: ``dimension`` 16000, the d above, as in both papers;
``hidden`` 1568; ``sketch_seed`` of h and s, of which no value was published.

Where ours departs: **the published head is not on record**. Two layers of the width above come within 0.1 % of the
published 51.03 million: 50,988,488 weights, 51,018,200 with the two unimodal heads that nothing reads and that the
table seems to count.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from cfnsr.models.encoders import Encoder
from cfnsr.models.publication import Publication
from cfnsr.models.types import Prediction

_EPSILON = 1e-8  # within the square root, whose slope at 0 is infinite


class Fusion(nn.Module):
    """The encoders without their heads, multiplied.

    Args:
        video, audio: the two encoders.
        classes: how many emotions.
        dimension: of the sketches.
        hidden: width between the two layers of the head.
        sketch_seed: of the hashes and signs.
    """

    publication = Publication(
        fusion="feature",
        paper="1606.01847",
        accuracy=71.32,
        parameters=51.03,
        reconstructed="the head's widths, from the parameter count",
    )
    trains = True
    modality_modules: ClassVar = {"video": ("video",), "audio": ("audio",)}

    def __init__(
        self, video: Encoder, audio: Encoder, classes: int, *, dimension: int, hidden: int, sketch_seed: int
    ) -> None:
        super().__init__()
        self.video, self.audio = video.pooled, audio.pooled
        chance = torch.Generator().manual_seed(sketch_seed)
        self.video_sketch = CountSketch(video.dim, dimension, chance)
        self.audio_sketch = CountSketch(audio.dim, dimension, chance)
        self.classifier = nn.Sequential(
            OrderedDict(hidden=nn.Linear(dimension, hidden), relu=nn.ReLU(), linear=nn.Linear(hidden, classes))
        )

    def forward(
        self,
        frames: Float[Tensor, "batch 3 time height width"],
        mel: Float[Tensor, "batch mel step"],
        mfcc: Float[Tensor, "batch coef step"],
    ) -> Prediction:
        """One prediction of both modalities."""
        pooled = bilinear(self.video_sketch(self.video(frames)), self.audio_sketch(self.audio(mfcc)))
        return Prediction(self.classifier(pooled).log_softmax(dim=1, dtype=torch.float32))


class CountSketch(nn.Module):
    """A vector as sums of its signed entries, drawn once; inner products stay the same in expectation.

    Args:
        incoming: entries of the vector.
        outgoing: entries of its sketch.
        chance: where places and signs come from.
    """

    places: Tensor
    signs: Tensor

    def __init__(self, incoming: int, outgoing: int, chance: torch.Generator) -> None:
        super().__init__()
        self.outgoing = outgoing
        # Drawn on the CPU: the same for every device.
        places = torch.randint(outgoing, (incoming,), generator=chance, device="cpu")
        signs = 2.0 * torch.randint(2, (incoming,), generator=chance, device="cpu") - 1.0
        self.register_buffer("places", places.to(torch.get_default_device()))
        self.register_buffer("signs", signs.to(torch.get_default_device()))

    def forward(self, vectors: Float[Tensor, "batch incoming"]) -> Float[Tensor, "batch outgoing"]:
        """The sketches, in fp32."""
        signed = vectors.float() * self.signs
        return signed.new_zeros(len(signed), self.outgoing).index_add(1, self.places, signed)


def bilinear(
    video: Float[Tensor, "batch dimension"], audio: Float[Tensor, "batch dimension"]
) -> Float[Tensor, "batch dimension"]:
    """The circular convolution of two sketches, its root with the sign kept, at length one."""
    product = torch.fft.irfft(torch.fft.rfft(video) * torch.fft.rfft(audio), n=video.shape[1])
    return F.normalize(product * (product.abs() + _EPSILON).rsqrt())
