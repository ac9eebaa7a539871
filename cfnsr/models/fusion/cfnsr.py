"""CFN-SR: attention over the video features, guided by the audio features.

    c  = last token of Transformer(A)                      A: audio features (64, 26), causal self-attention
    a  = softmax over the cells of each time step of       V: video features (2048, 2, 7, 7)
         w . tanh(W_v V + W_c c)
    V' = V * a + V                                         the residual
    logits = W [mean(V'), A]

Fu, Liu, Wang, Qi, Fu, Zhou, Li, "A cross-modal fusion network based on self-attention and residual structure for
multimodal emotion recognition", arXiv:2111.02172 (2021): its cross-modal blocks, as in the published code.

Options, with the published values: ``residual``, ``self_attention``, ``cross_modal`` (all true; the ablations),
``attention_layers`` 5, ``heads`` 8, ``feed_forward`` 256, ``attention_dropout`` 0.1, ``position_dropout`` 0.3,
``audio_dropout`` 0.4. W_v and W_c map to as many channels as the audio features have: 64.

Where ours departs:

- The published code sums ``a`` over the clips of a batch, so that a prediction depends on the other clips. Ours does
  not; for a batch of one the two agree.
- Without ``self_attention``, for which no code was published, the context is the mean of the audio features over time.
  The last token alone would cover only the last half second of the window, which is often silence.
- Without ``cross_modal`` the context is not used, so self-attention is left out with it.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from cfnsr.models.encoders import Encoder
from cfnsr.models.publication import Publication
from cfnsr.models.types import Batch, Prediction


class Fusion(nn.Module):
    """The encoders' stages, cross-modal attention and a classifier; the heads are not used.

    Args:
        residual: add the video features to their attended copy.
        self_attention: compute the context by a Transformer over the audio features.
        cross_modal: attend over the video features; if not, both features are concatenated as they are.
        attention_layers: Transformer layers.
        heads: attention heads of each layer; a divisor of the audio channels.
        feed_forward: inner width of each layer.
        attention_dropout: in each layer, on attention, inner and residual.
        position_dropout: on the Transformer's input.
        audio_dropout: on the audio features before the classifier.
    """

    publication = Publication(fusion="intermediate", paper="2111.02172", accuracy=75.76, parameters=26.30)
    trains = True
    modality_modules: ClassVar = {"video": ("video",), "audio": ("audio",)}

    def __init__(
        self,
        video: Encoder,
        audio: Encoder,
        classes: int,
        *,
        residual: bool,
        self_attention: bool,
        cross_modal: bool,
        attention_layers: int,
        heads: int,
        feed_forward: int,
        attention_dropout: float,
        position_dropout: float,
        audio_dropout: float,
    ) -> None:
        super().__init__()
        self.video_input, self.audio_input = video.reads, audio.reads
        self.video, self.audio = video.stages, audio.stages
        self.video_pool, self.audio_pool = video.pool, audio.pool
        audio_channels = audio.channels[-1]
        self.residual = residual
        self.self_attention = None
        if cross_modal and self_attention:
            dropouts = {"dropout": attention_dropout, "position_dropout": position_dropout}
            self.self_attention = SelfAttention(audio_channels, attention_layers, heads, feed_forward, **dropouts)
        self.cross_modal = CrossModalAttention(video.channels[-1], audio_channels) if cross_modal else None
        self.audio_dropout = nn.Dropout(audio_dropout)
        self.classifier = nn.Linear(video.dim + audio.dim, classes)

    def forward(self, batch: Batch) -> Prediction:
        """Predict from both modalities together."""
        video, audio = self.video(batch[self.video_input]), self.audio(batch[self.audio_input])
        if self.cross_modal is not None:
            attended = video * self.cross_modal(video, self.context(audio)).unsqueeze(1)
            video = attended + video if self.residual else attended
        features = torch.cat([self.video_pool(video), self.audio_dropout(self.audio_pool(audio))], dim=1)
        return Prediction(self.classifier(features).log_softmax(dim=1, dtype=torch.float32))

    def attention(self, batch: Batch) -> Float[Tensor, "batch moment row column"] | None:
        """Compute the attention on each cell, which sums to one at each moment; None without ``cross_modal``."""
        if self.cross_modal is None:
            return None
        video, audio = self.video(batch[self.video_input]), self.audio(batch[self.audio_input])
        return self.cross_modal(video, self.context(audio)).float()

    def context(self, audio: Float[Tensor, "batch audio step"]) -> Float[Tensor, "batch audio"]:
        """Summarise the audio features of all steps in one vector."""
        if self.self_attention is None:
            return audio.mean(dim=2)
        return self.self_attention(audio.transpose(1, 2))[:, -1]


class SelfAttention(nn.Module):
    """Causal pre-norm Transformer: each token attends to itself and the tokens before it.

    Args:
        width: channels of a token.
        layers, heads, feed_forward, dropout, position_dropout: see ``Fusion``.
    """

    def __init__(
        self, width: int, layers: int, heads: int, feed_forward: int, *, dropout: float, position_dropout: float
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(position_dropout)
        # Not nn.TransformerEncoder: it copies one layer, and all would start with the same weights.
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, feed_forward, dropout, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
        """Apply positions, dropout and all layers."""
        count, width = tokens.shape[1:]
        tokens = self.dropout(tokens * math.sqrt(width) + positions(count, width).to(tokens.device))
        mask = causal_mask(count).to(tokens.device)
        for layer in self.layers:
            tokens = layer(tokens, src_mask=mask)
        return self.norm(tokens)


class CrossModalAttention(nn.Module):
    """Attention on each cell of the video features, given an audio context.

    Args:
        video: channels of the video features.
        audio: length of the context, and of the vectors in which the two are added.
    """

    def __init__(self, video: int, audio: int) -> None:
        super().__init__()
        self.video = nn.Linear(video, audio)
        self.audio = nn.Linear(audio, audio, bias=False)
        self.score = nn.Linear(audio, 1)

    def forward(
        self, video: Float[Tensor, "batch video time height width"], context: Float[Tensor, "batch audio"]
    ) -> Float[Tensor, "batch time height width"]:
        """Compute the attention on each cell; it sums to one at each time step."""
        cells = self.video(video.movedim(1, -1))  # batch time height width audio
        scores = self.score(torch.tanh(cells + self.audio(context)[:, None, None, None])).squeeze(-1)
        return scores.flatten(2).softmax(dim=2, dtype=torch.float32).view(scores.shape)


def positions(count: int, width: int) -> Float[Tensor, "count width"]:
    """Compute sinusoidal positions, counted from 1: the sines of all frequencies, then their cosines."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half) * (-math.log(10000) / (half - 1)))
    angles = torch.arange(1, count + 1)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def causal_mask(count: int) -> Bool[Tensor, "count count"]:
    """Return True where a token (row) may not attend: at every later token (column)."""
    return torch.ones(count, count, dtype=torch.bool).triu(diagonal=1)
