"""Attention pooling over a frozen encoder's output on faces, a vector a frame.

There is no place in the picture to attend to: the moments stand where other encoders have cells of the picture. So a
system that chooses where to look chooses when.
"""

from __future__ import annotations

from torch import nn

from cfnsr.models.encoders.sequences import SequenceEncoder


class Encoder(SequenceEncoder):
    """A sequence of vectors -> logits; see ``SequenceEncoder``. One time step, whose rows are the clip's moments."""

    reads = "video_sequence"
    convolution, normalisation = nn.Conv3d, nn.BatchNorm3d
    positions = (1, -1, 1)
