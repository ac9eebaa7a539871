"""Attention pooling over a frozen encoder's output on sound."""

from __future__ import annotations

from torch import nn

from cfnsr.models.encoders.sequences import SequenceEncoder


class Encoder(SequenceEncoder):
    """A sequence of vectors -> logits; see ``SequenceEncoder``."""

    reads = "audio_sequence"
    convolution, normalisation = nn.Conv1d, nn.BatchNorm1d
    positions = (-1,)
