"""Multimodal compact bilinear pooling: a short sketch of the outer product of both feature vectors.

    sketch(x)_k = sum over i with h(i) = k of s(i) x_i      h: feature -> 0..d-1, s: feature -> -1 or 1, drawn once
    z = irfft(rfft(sketch(V)) * rfft(sketch(A)))            the sketch of the outer product of V and A
    y = z / sqrt(max(|z|, epsilon))                         sign(z) sqrt(|z|), with a finite gradient at 0
    logits = W_2 relu(W_1 (y / |y|))

Gao, Beijbom, Zhang and Darrell, "Compact Bilinear Pooling", arXiv:1511.06062 (2016); Fukui et al., "Multimodal Compact
Bilinear Pooling for Visual Question Answering and Visual Grounding", arXiv:1606.01847 (2016).

Options, with the values that reach the published parameter count: ``dimension`` 16000, the d above, as in both papers;
``hidden`` 1568; ``sketch_seed`` of h and s, for which no value was published.

Where ours departs: **the published head is not known**. Two layers of the width above come within 0.1 % of the
published 51.03 million: 50,988,488 weights, or 51,018,200 with the two unused unimodal heads, which the table seems to
count.
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
from cfnsr.models.types import Batch, Prediction

# Inside the square root, whose gradient at 0 is infinite. A limit, because export to ONNX drops so small a summand.
_EPSILON = 1e-8


class Fusion(nn.Module):
    """The encoders without their heads, bilinear pooling and a classifier.

    Args:
        dimension: length of the sketches.
        hidden: width between the two layers of the head.
        sketch_seed: of the random positions and signs.
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
        self.video_input, self.audio_input = video.reads, audio.reads
        self.video, self.audio = video.pooled, audio.pooled
        generator = torch.Generator().manual_seed(sketch_seed)
        self.video_sketch = CountSketch(video.dim, dimension, generator)
        self.audio_sketch = CountSketch(audio.dim, dimension, generator)
        self.classifier = nn.Sequential(
            OrderedDict(hidden=nn.Linear(dimension, hidden), relu=nn.ReLU(), linear=nn.Linear(hidden, classes))
        )

    def forward(self, batch: Batch) -> Prediction:
        """Predict from both modalities together."""
        video = self.video_sketch(self.video(batch[self.video_input]))
        audio = self.audio_sketch(self.audio(batch[self.audio_input]))
        return Prediction(self.classifier(bilinear(video, audio)).log_softmax(dim=1, dtype=torch.float32))


class CountSketch(nn.Module):
    """A random projection: each entry of a vector is added, with a random sign, to a random entry of the sketch.

    Keeps inner products in expectation.

    Args:
        incoming: length of the vector.
        outgoing: length of the sketch.
        generator: for positions and signs.
    """

    positions: Tensor
    signs: Tensor

    def __init__(self, incoming: int, outgoing: int, generator: torch.Generator) -> None:
        super().__init__()
        self.outgoing = outgoing
        # Drawn on the CPU, so that they are the same for every device.
        positions = torch.randint(outgoing, (incoming,), generator=generator, device="cpu")
        signs = 2.0 * torch.randint(2, (incoming,), generator=generator, device="cpu") - 1.0
        self.register_buffer("positions", positions.to(torch.get_default_device()))
        self.register_buffer("signs", signs.to(torch.get_default_device()))

    def forward(self, vectors: Float[Tensor, "batch incoming"]) -> Float[Tensor, "batch outgoing"]:
        """Compute the sketches, in fp32."""
        signed = vectors.float() * self.signs
        return signed.new_zeros(signed.shape[0], self.outgoing).index_add(1, self.positions, signed)


def bilinear(
    video: Float[Tensor, "batch dimension"], audio: Float[Tensor, "batch dimension"]
) -> Float[Tensor, "batch dimension"]:
    """Convolve two sketches circularly; take the signed square root and scale to length one."""
    product = torch.fft.irfft(torch.fft.rfft(video) * torch.fft.rfft(audio), n=video.shape[1])
    return F.normalize(product * product.abs().clamp(min=_EPSILON).rsqrt())
