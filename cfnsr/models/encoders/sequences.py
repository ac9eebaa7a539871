"""Base of the encoders that read a frozen encoder's output over time, in place of frames or MFCC.

Three convolutions over time, then attention pooling: a_t = softmax over t of u . y_t, z = sum over t of a_t y_t, as in
Mirsamadi, Barsoum and Zhang, "Automatic speech emotion recognition using recurrent neural networks with local
attention", ICASSP 2017.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from cfnsr.models import encoders
from cfnsr.models.publication import Publication


class SequenceEncoder(encoders.Encoder):
    """A sequence of vectors -> logits.

    The vectors are standardised by the running statistics of the training clips, which the checkpoint keeps.

    Attributes:
        convolution, normalisation: the classes of the layers, of one dimension or of three.
        positions: a clip's dimensions after the channels; -1 is time.

    Args:
        classes: number of emotions.
        shape: steps and width of one clip's sequence.
        channels: of each stage.
        dropout: share, after the first two stages and before the classifier.
    """

    publication = Publication(fusion="none")
    convolution: ClassVar[Any]
    normalisation: ClassVar[Any]
    positions: ClassVar[tuple[int, ...]]

    def __init__(self, classes: int, shape: Sequence[int], *, channels: int, dropout: float) -> None:
        super().__init__()
        _, width = shape
        standardise = OrderedDict(
            positions=ToPositions(self.positions), standardise=self.normalisation(width, affine=False)
        )
        self.stages = nn.Sequential(
            OrderedDict(
                conv1=nn.Sequential(standardise | self._stage(width, channels, kernel=1, dropout=dropout)),
                conv2=nn.Sequential(self._stage(channels, channels, kernel=3, dropout=dropout)),
                conv3=nn.Sequential(self._stage(channels, channels, kernel=3, dropout=0.0)),
            )
        )
        self.channels = [channels] * len(self.stages)
        self.dim = channels
        self.head = nn.Sequential(
            OrderedDict(
                pool=AttentionPooling(channels), dropout=nn.Dropout(dropout), linear=nn.Linear(channels, classes)
            )
        )

    def _stage(self, incoming: int, outgoing: int, *, kernel: int, dropout: float) -> OrderedDict[str, nn.Module]:
        kernels = [kernel if count == -1 else 1 for count in self.positions]
        padding = [count // 2 for count in kernels]
        return OrderedDict(
            conv=self.convolution(incoming, outgoing, kernels, padding=padding, bias=False),
            norm=self.normalisation(outgoing),
            relu=nn.ReLU(),
            dropout=nn.Dropout(dropout),
        )


class ToPositions(nn.Module):
    """Put the channels first, and time where an encoder of that modality has positions.

    Args:
        positions: a clip's dimensions after the channels; -1 is time.
    """

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__()
        self.positions = tuple(positions)

    def forward(self, inputs: Float[Tensor, "batch step width"]) -> Float[Tensor, "batch width *positions"]:
        """Return the sequence with its new dimensions."""
        return inputs.transpose(1, 2).unflatten(2, self.positions)


class AttentionPooling(nn.Module):
    """Average over all positions, weighted by a learned score.

    Args:
        channels: of the input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Linear(channels, 1, bias=False)

    def forward(self, features: Float[Tensor, "batch channel *positions"]) -> Float[Tensor, "batch channel"]:
        """Return one vector a clip."""
        flat = features.flatten(2)
        weights = self.score(flat.transpose(1, 2)).softmax(dim=1)
        return (flat @ weights).squeeze(2)
