"""The networks that read one modality each; the file's name is the modality.

Each offers an ``Encoder``: a trunk of named stages, which a fusion may listen to between any two of them, and a
head, which a fusion may leave out.
"""

from __future__ import annotations

from collections import OrderedDict
from importlib import import_module
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cfnsr.errors import CfnsrError
from cfnsr.models.publication import Publication
from cfnsr.models.types import Prediction

_FILES = {"video": "resnext3d", "audio": "mfcc_cnn"}


class Encoder(nn.Module):
    """What every encoder is made of.

    Attributes:
        trunk: the stages, in order, by name.
        channels: how many channels leave each stage.
        dim: length of the pooled features.
        about: what was published of it.
        head: pooling first, the classifier last: the trunk's features -> logits.
    """

    trunk: nn.Sequential
    channels: dict[str, int]
    dim: int
    head: nn.Sequential
    publication: ClassVar[Publication]

    def forward(self, inputs: Float[Tensor, "batch channel *place"]) -> Float[Tensor, "batch classes"]:
        """Logits of each class."""
        return self.head(self.trunk(inputs))

    @property
    def pooled(self) -> nn.Sequential:
        """Trunk and pooling: inputs -> one vector of ``dim`` a clip. Shares the encoder's weights."""
        return nn.Sequential(OrderedDict(trunk=self.trunk, pool=self.head[0]))

    def segments(self, *sites: str) -> list[nn.Sequential]:
        """The trunk, cut after each of these stages. Shares the encoder's weights.

        Args:
            sites: names of stages in their order, the trunk's last one included.
        """
        parts = [nn.Sequential()]
        for name, stage in self.trunk.named_children():
            parts[-1].add_module(name, stage)
            if name in sites:
                parts.append(nn.Sequential())
        assert len(parts) == len(sites) + 1 and not len(parts[-1]), f"{sites} do not end the trunk"
        return parts[:-1]


class Unimodal(nn.Module):
    """One encoder alone, called as a fusion is.

    Args:
        encoder: its weights are trained in place.
        modality: ``"video"`` or ``"audio"``: which input the encoder reads.
    """

    trains = True

    def __init__(self, encoder: Encoder, modality: str) -> None:
        super().__init__()
        _known(modality)
        self.encoder, self.modality = encoder, modality
        self.publication = encoder.publication
        self.modality_modules = {modality: ("encoder",)}

    def forward(
        self,
        frames: Float[Tensor, "batch 3 time height width"],
        mel: Float[Tensor, "batch mel step"],
        mfcc: Float[Tensor, "batch coef step"],
    ) -> Prediction:
        """The prediction of one modality, as the whole's and as its own."""
        logits = self.encoder(frames if self.modality == "video" else mfcc)
        log_probs = logits.log_softmax(dim=1, dtype=torch.float32)
        return Prediction(fused=log_probs, **{self.modality: log_probs})


def names() -> list[str]:
    """The modalities that have an encoder."""
    return sorted(_FILES)


def build(name: str, classes: int, **options: object) -> Encoder:
    """An encoder with fresh weights.

    Args:
        name: one of ``names()``.
        classes: how many emotions the head tells apart.
        options: what the encoder's signature asks for.

    Raises:
        CfnsrError: there is no such encoder.
    """
    _known(name)
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), f"{name.title()}Encoder")(classes, **options)


def _known(name: str) -> None:
    if name not in names():
        raise CfnsrError("encoders", f"there is no encoder {name!r}", f"Name one of: {', '.join(names())}")
