"""1D CNN on MFCC.

The audio half of Fu et al., "A cross-modal fusion network based on self-attention and residual structure for multimodal
emotion recognition", arXiv:2111.02172 (2021).

Published: 13 coefficients, 212 steps, dropout 0.2 and head dropout 0.4.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from cfnsr.errors import CfnsrError
from cfnsr.models.encoders import Encoder
from cfnsr.models.publication import Publication

_POOL = 8  # steps that become one token
_LOST = 4  # steps that the first two convolutions trim, two each: kernel 7, padding 2


class AudioEncoder(Encoder):
    """MFCC -> logits.

    The head flattens time into features, so the number of steps is part of the weights.

    Args:
        classes: how many emotions.
        coefficients: MFCC in each step.
        steps: analysis frames of a clip.
        dropout: after the second convolution.
        head_dropout: before the classifier.

    Raises:
        CfnsrError: the steps are too few to leave one token.
    """

    publication = Publication(fusion="none", paper="2111.02172", accuracy=56.53, parameters=0.03)

    def __init__(self, classes: int, *, coefficients: int, steps: int, dropout: float, head_dropout: float) -> None:
        super().__init__()
        tokens = (steps - _LOST) // _POOL
        if tokens < 1:
            raise CfnsrError("encoders.audio", f"{steps} steps are too few for it", f"Give {_LOST + _POOL} or more")
        # Pooling is a stage of its own, so that what the second convolution found can be tapped at full rate.
        self.trunk = nn.Sequential(
            OrderedDict(
                conv1=_convolution(coefficients, 32, kernel=7, norm=True),
                conv2=_convolution(32, 32, kernel=7, norm=False),
                pool2=nn.Sequential(
                    OrderedDict(pool=nn.MaxPool1d(_POOL), norm=nn.BatchNorm1d(32), dropout=nn.Dropout(dropout))
                ),
                conv3=_convolution(32, 64, kernel=5, norm=True),
            )
        )
        self.channels = {"conv1": 32, "conv2": 32, "pool2": 32, "conv3": 64}
        self.dim = 64 * tokens
        self.head = nn.Sequential(
            OrderedDict(pool=nn.Flatten(), dropout=nn.Dropout(head_dropout), linear=nn.Linear(self.dim, classes))
        )


def _convolution(incoming: int, outgoing: int, *, kernel: int, norm: bool) -> nn.Sequential:
    steps: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv1d(incoming, outgoing, kernel_size=kernel, padding=2), relu=nn.ReLU()
    )
    if norm:
        steps["norm"] = nn.BatchNorm1d(outgoing)
    return nn.Sequential(steps)
