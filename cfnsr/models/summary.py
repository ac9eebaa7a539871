"""Count a network's parameters and operations, on tensors without memory (torch's ``meta`` device)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torchinfo
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.utils.flop_counter import FlopCounterMode

from cfnsr.errors import CfnsrError
from cfnsr.models import fusion
from cfnsr.models.publication import Publication
from cfnsr.models.spec import ModelSpec
from cfnsr.models.types import MODALITIES, Batch

_MOST_PARAMETERS = 10**10  # Adam needs 16 bytes of each in training: more than any GPU has
_MOST_TENSORS = 5_000


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
        CfnsrError: no network can be built from this description, or no machine could train it.
    """
    with torch.device("meta"), _bounded(spec.name):
        return spec.build().eval()


@contextmanager
def _bounded(name: str) -> Iterator[None]:
    """Stop the building of a network with too many parameters; a million layers take minutes on ``meta``, too."""
    tensors, parameters = 0, 0

    def count(_module: nn.Module, _name: str, values: nn.Parameter | None) -> None:
        nonlocal tensors, parameters
        tensors, parameters = tensors + 1, parameters + (0 if values is None else values.numel())
        if tensors > _MOST_TENSORS or parameters > _MOST_PARAMETERS:
            problem = f"its network has more than {_MOST_PARAMETERS:,} parameters, or {_MOST_TENSORS:,} tensors of them"
            raise CfnsrError(name, problem, "Use smaller options, of the system or of the encoders")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


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
