"""How large a network is, without making it: weights and arithmetic, counted on tensors that hold nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torchinfo
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cfnsr.models import checkpoint, encoders, fusion
from cfnsr.models.publication import Publication


@dataclass(frozen=True)
class Inputs:
    """What one clip looks like to the networks.

    Attributes:
        frames: of the face crop.
        side_px: of the square crop.
        mels, coefficients: mel bands, MFCC.
        steps: analysis frames of the sound.
    """

    frames: int
    side_px: int
    mels: int
    coefficients: int
    steps: int

    @classmethod
    def of(cls, video: dict[str, Any], audio: dict[str, Any]) -> Inputs:
        """From the two sections of ``extract``."""
        samples = round(audio["window_s"] * audio["rate_hz"])
        return cls(video["frames"], video["side_px"], audio["mels"], audio["coefficients"], 1 + samples // audio["hop"])

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """One clip, holding nothing where torch's default device is ``meta``."""
        return (
            torch.empty(1, 3, self.frames, self.side_px, self.side_px),
            torch.empty(1, self.mels, self.steps),
            torch.empty(1, self.coefficients, self.steps),
        )


@dataclass(frozen=True)
class Size:
    """One network's size.

    Attributes:
        name: the system, or the modality alone.
        publication: what was published of it.
        parameters: trainable and not.
        flops: of the forward pass of one clip, a multiplication and an addition counted as two.
    """

    name: str
    publication: Publication
    parameters: int
    flops: int


def names() -> list[str]:
    """Every network there is: each modality alone, then the systems."""
    return [*sorted(encoders.names(), reverse=True), *fusion.names()]


def build(
    name: str, classes: int, parts: dict[str, dict[str, Any]], options: dict[str, Any], inputs: Inputs
) -> nn.Module:
    """A network on the device that holds nothing.

    Args:
        name: one of ``names()``.
        classes: how many emotions.
        parts: each encoder's options as params.yaml has them.
        options: the system's own.
        inputs: the audio encoder is sized by them.

    Raises:
        CfnsrError: there is no such network, or its options do not fit.
    """
    sized = {**parts, "audio": {**parts["audio"], "coefficients": inputs.coefficients, "steps": inputs.steps}}
    described = {
        "name": name,
        "labels": [str(number) for number in range(classes)],
        "encoders": {name: sized[name]} if name in sized else sized,
        "options": options,
    }
    with torch.device("meta"):
        return checkpoint.build(described)


def size(name: str, network: nn.Module, inputs: Inputs) -> Size:
    """Count a network of ``build``."""
    network.eval()
    # Not in inference mode: there torch runs a Transformer's layer as one operation, which it cannot count.
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network(*inputs.tensors())
    parameters = sum(value.numel() for value in network.parameters())
    return Size(name, network.publication, parameters, counter.get_total_flops())  # pyright: ignore[reportArgumentType]


def layers(network: nn.Module, inputs: Inputs, depth: int) -> str:
    """A network's layers as a table: name, shape of the output, weights.

    Args:
        network: of ``build``.
        inputs: one clip's.
        depth: how many levels of modules within modules.
    """
    with torch.device("meta"):
        tensors = inputs.tensors()
    # Not its multiplications: of a layer that is applied at many places it counts one.
    columns = ("output_size", "num_params")
    drawn = str(
        torchinfo.summary(
            network.eval(),
            input_data=tensors,
            depth=depth,
            col_names=columns,
            row_settings=("var_names",),
            device="meta",
            verbose=0,
        )
    )
    return "\n".join(line for line in drawn.splitlines() if not line.startswith("Total mult-adds"))
