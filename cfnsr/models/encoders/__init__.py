"""Networks that read one modality, in a folder a modality, one file each; the file's name is the encoder's name.

Each file defines ``class Encoder(encoders.Encoder)`` with ``__init__(classes, shape, *, <its options>)``, where
``shape`` is one clip's shape of the array that it reads. A system may use the outputs of any of its stages.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cfnsr.errors import CfnsrError
from cfnsr.models.publication import Publication
from cfnsr.models.types import Batch, Prediction
from cfnsr.runtime import registry

Network = TypeVar("Network", bound=nn.Module)


class Encoder(nn.Module):
    """Stages, then a head.

    Every stage of a video encoder returns ``batch channel time height width``, of an audio encoder ``batch channel
    step``, which systems rely on.

    Attributes:
        reads: name of the array in the batch.
        publication: its published figures.
        stages: the layers, from input to output; systems index them from the end, ``stages[-1]``.
        channels: how many channels each stage returns.
        dim: length of the pooled features.
        head: the last stage's output -> logits; its first module pools, its last one classifies.
    """

    reads: ClassVar[str]
    publication: ClassVar[Publication]
    stages: nn.Sequential
    channels: list[int]
    dim: int
    head: nn.Sequential

    def forward(self, inputs: Float[Tensor, "batch channel *shape"]) -> Float[Tensor, "batch classes"]:
        """Compute the logits of each class."""
        return self.head(self.stages(inputs))

    @property
    def pool(self) -> nn.Module:
        """Return the part of the head that turns the last stage's output into one vector of length ``dim``."""
        return self.head[0]

    @property
    def pooled(self) -> nn.Sequential:
        """Return stages and pooling as one module, which shares the encoder's weights."""
        return nn.Sequential(OrderedDict(stages=self.stages, pool=self.pool))

    def segments(self, *indices: int) -> list[nn.Sequential]:
        """Cut the stages after each of ``indices`` (``-1`` is the last); the parts share the encoder's weights."""
        ends = [range(len(self.stages))[index] + 1 for index in indices]
        return [self.stages[start:end] for start, end in pairwise([0, *ends])]


class Unimodal(nn.Module):
    """A network that reads one modality: an encoder with its head.

    Args:
        encoder: its weights are shared, not copied.
        modality: ``"video"`` or ``"audio"``.
    """

    def __init__(self, encoder: Encoder, modality: str) -> None:
        super().__init__()
        self.encoder, self.modality = encoder, modality
        self.publication = encoder.publication
        self.modality_modules = {modality: ("encoder",)}

    def forward(self, batch: Batch) -> Prediction:
        """Predict from one modality; ``fused`` is that modality's own prediction."""
        log_probs = self.encoder(batch[self.encoder.reads]).log_softmax(dim=1, dtype=torch.float32)
        return Prediction(fused=log_probs, **{self.modality: log_probs})


def names(modality: str) -> list[str]:
    """List the encoders of a modality."""
    return registry.names(f"{__name__}.{modality}")


def find(modality: str, name: str) -> type[Encoder]:
    """Return an encoder's class.

    Raises:
        CfnsrError: there is no such encoder.
    """
    where, kind = f"encoders.{modality}.name", f"{modality} encoder"
    return registry.load(f"{__name__}.{modality}", name, where=where, kind=kind).Encoder


def check(modality: str, name: str, options: Mapping[str, Any]) -> None:
    """Check a section of params.yaml against the signature of the encoder that it names.

    Raises:
        CfnsrError: there is no such encoder, or an option is unknown, missing or of the wrong type.
    """
    registry.check_options(find(modality, name), options, f"encoders.{modality}.options")


def build(modality: str, name: str, classes: int, shape: Sequence[int], **options: Any) -> Encoder:
    """Build an encoder with fresh weights.

    Args:
        modality: ``"video"`` or ``"audio"``.
        name: one of ``names(modality)``.
        classes: number of emotions.
        shape: one clip's shape of the array that it reads, as it is stored in the shards.
        options: the encoder's own.

    Raises:
        CfnsrError: there is no such encoder, or it cannot be built with these options.
    """
    return construct(f"encoders.{modality}.options", find(modality, name), classes, shape, **options)


def construct(where: str, cls: type[Network], *arguments: Any, **options: Any) -> Network:
    """Build a network; the error names options that do not fit.

    Args:
        where: path of the options in params.yaml, for the error.
        cls: the network's class.
        arguments: its positional arguments.
        options: its keyword arguments.

    Raises:
        CfnsrError: an option is unknown, missing or of the wrong type, or the sizes are impossible.
    """
    registry.check_options(cls, options, where)
    try:
        network = cls(*arguments, **options)
    except CfnsrError:
        raise
    except Exception as error:  # torch raises many types for impossible sizes
        problem = f"no network can be built with {options} ({type(error).__name__}: {error})"
        raise CfnsrError(where, problem, "Compare with the published values in the network's file") from error
    for name, weights in network.named_parameters():
        if not weights.numel():
            raise CfnsrError(where, f"{options} leave {name} empty", "Use larger sizes")
    return network
