"""Count a network's parameters and operations, on tensors without memory (torch's ``meta`` device)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torchinfo
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cfnsr.models import fusion
from cfnsr.models.publication import Publication
from cfnsr.models.spec import ModelSpec
from cfnsr.models.types import MODALITIES, Batch


@dataclass(frozen=True)
class Size:
    """The size of one network.

    Attributes:
        name: the system, or the modality.
        publication: its published figures.
        parameters: trainable or not.
        flops: of the forward pass of one clip; a multiplication and an addition count as two.
    """

    name: str
    publication: Publication
    parameters: int
    flops: int


def names() -> list[str]:
    """List all networks: each modality alone, then the systems."""
    return [*MODALITIES, *fusion.names()]


def build(spec: ModelSpec) -> nn.Module:
    """Build a network on the ``meta`` device, in evaluation mode.

    Raises:
        CfnsrError: no network can be built from this description.
    """
    with torch.device("meta"):
        return spec.build().eval()


def size(spec: ModelSpec) -> Size:
    """Count a network's parameters and operations."""
    network: Any = build(spec)
    # Not in inference mode: there torch runs a Transformer layer as one operation, which the counter does not count.
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network(_clip(spec.inputs))
    parameters = sum(value.numel() for value in network.parameters())
    return Size(spec.name, network.publication, parameters, counter.get_total_flops())


def layers(spec: ModelSpec, depth: int) -> str:
    """Draw a table of a network's layers: name, shape of the output, parameters.

    Args:
        spec: the network.
        depth: levels of modules within modules.
    """
    network, clip = build(spec), _clip(spec.inputs)
    # torchinfo takes tensors, and dictionaries of tensors.
    network.register_forward_pre_hook(lambda _, inputs: (Batch(inputs[0], clip.label),))
    table = torchinfo.summary(
        network,
        input_data=[clip.arrays],
        depth=depth,
        col_names=("output_size", "num_params"),
        row_settings=("var_names",),
        device="meta",
        verbose=0,
    )
    # torchinfo counts the multiplications of a layer that is used several times only once.
    return "\n".join(line for line in str(table).splitlines() if not line.startswith("Total mult-adds"))


def _clip(inputs: dict[str, list[int]]) -> Batch:
    with torch.device("meta"):
        arrays = {name: torch.empty(1, *shape) for name, shape in inputs.items()}
        if "frames" in arrays:  # time height width 3 -> 3 time height width, as networks take them
            arrays["frames"] = arrays["frames"].movedim(-1, 1)
        return Batch(arrays, torch.zeros(1, dtype=torch.int64))
