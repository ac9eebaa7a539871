"""CFN-SR: the voice says where in the face to look.

    c  = last token of Transformer(A)                      A: audio features (64, 26), causal self-attention
    a  = softmax over the cells of each time step of       V: video features (2048, 2, 7, 7)
         w . tanh(W_v V + W_c c)
    V' = V * a + V                                         the residual
    logits = W [mean(V'), A]

Fu, Liu, Wang, Qi, Fu, Zhou, Li, "A cross-modal fusion network based on self-attention and residual structure for
multimodal emotion recognition", arXiv:2111.02172 (2021): its cross-modal blocks, in the form that the published code
gives them.

Options, with the published values: ``residual``, ``self_attention``, ``cross_modal`` (all true; the ablations),
``attention_layers`` 5, ``heads`` 8, ``feed_forward`` 256, ``attention_dropout`` 0.1, ``position_dropout`` 0.3,
``audio_dropout`` 0.4. The space in which voice and face are compared is as wide as the audio features: 64.

Where ours departs:

- The published code sums ``a`` over the clips of a batch, so that a prediction depends on its neighbours. Ours
  attends per clip; for a batch of one the two agree.
- Without ``self_attention``, of which no code was published, the context is the mean of the audio features over time.
  Their last token alone hears the last half second of the window, which is often silence: it would test that instead.
- Without ``cross_modal`` nothing would read the context, so self-attention is left out with it.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from cfnsr.models.encoders import Encoder
from cfnsr.models.publication import Publication
from cfnsr.models.types import Prediction


class Fusion(nn.Module):
    """The encoders' trunks, joined; their heads are not used.

    Args:
        video, audio: the two encoders.
        classes: how many emotions.
        residual: add the video features to their attended copy.
        self_attention: a Transformer over the audio features makes the context.
        cross_modal: attend over the face; if not, the two features are concatenated as they are.
        attention_layers: Transformer layers.
        heads: attention heads of each; they divide the audio's channels.
        feed_forward: inner width of each layer.
        attention_dropout: in each layer: on attention, inner and residual.
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
        self.video, self.audio = video.trunk, audio.trunk
        voice, face = audio.channels["conv3"], video.channels["layer4"]
        self.residual = residual
        self.self_attention = (
            SelfAttention(
                voice,
                layers=attention_layers,
                heads=heads,
                feed_forward=feed_forward,
                dropout=attention_dropout,
                position_dropout=position_dropout,
            )
            if cross_modal and self_attention
            else None
        )
        self.cross_modal = CrossModalAttention(face, voice) if cross_modal else None
        self.audio_dropout = nn.Dropout(audio_dropout)
        self.classifier = nn.Linear(video.dim + audio.dim, classes)

    def forward(
        self,
        frames: Float[Tensor, "batch 3 time height width"],
        mel: Float[Tensor, "batch mel step"],
        mfcc: Float[Tensor, "batch coef step"],
    ) -> Prediction:
        """One prediction of both modalities."""
        face, voice = self.video(frames), self.audio(mfcc)
        if self.cross_modal is not None:
            attended = face * self.cross_modal(face, self.context(voice)).unsqueeze(1)
            face = attended + face if self.residual else attended
        features = torch.cat([face.mean(dim=(2, 3, 4)), self.audio_dropout(voice.flatten(1))], dim=1)
        return Prediction(self.classifier(features).log_softmax(dim=1, dtype=torch.float32))

    def attention(
        self,
        frames: Float[Tensor, "batch 3 time height width"],
        mel: Float[Tensor, "batch mel step"],
        mfcc: Float[Tensor, "batch coef step"],
    ) -> Float[Tensor, "batch moment row column"] | None:
        """Where in the face the voice looks: a moment's cells sum to one. None without ``cross_modal``."""
        if self.cross_modal is None:
            return None
        face, voice = self.video(frames), self.audio(mfcc)
        return self.cross_modal(face, self.context(voice)).float()

    def context(self, voice: Float[Tensor, "batch voice token"]) -> Float[Tensor, "batch voice"]:
        """The voice in one vector."""
        if self.self_attention is None:
            return voice.mean(dim=2)
        return self.self_attention(voice.transpose(1, 2))[:, -1]


class SelfAttention(nn.Module):
    """Causal pre-norm Transformer: each token hears itself and what came before it.

    Args:
        width: channels of a token.
        layers, heads, feed_forward, dropout, position_dropout: see ``Fusion``.
    """

    def __init__(
        self, width: int, *, layers: int, heads: int, feed_forward: int, dropout: float, position_dropout: float
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(position_dropout)
        # Not nn.TransformerEncoder: it copies one layer, so that all would start with the same weights.
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, feed_forward, dropout, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
        """The tokens, each with its past taken in."""
        count, width = tokens.shape[1:]
        tokens = self.dropout(tokens * math.sqrt(width) + positions(count, width).to(tokens.device))
        mask = future(count).to(tokens.device)
        for layer in self.layers:
            tokens = layer(tokens, src_mask=mask)
        return self.norm(tokens)


class CrossModalAttention(nn.Module):
    """How much each cell of the face counts, given the voice.

    Args:
        face: channels of the video features.
        voice: length of the context, and width of the space in which the two are compared.
    """

    def __init__(self, face: int, voice: int) -> None:
        super().__init__()
        self.face = nn.Linear(face, voice)
        self.voice = nn.Linear(voice, voice, bias=False)
        self.score = nn.Linear(voice, 1)

    def forward(
        self, face: Float[Tensor, "batch face time height width"], context: Float[Tensor, "batch voice"]
    ) -> Float[Tensor, "batch time height width"]:
        """The attention on each cell; a time step's cells sum to one."""
        cells = self.face(face.movedim(1, -1))  # batch time height width voice
        energy = self.score(torch.tanh(cells + self.voice(context)[:, None, None, None])).squeeze(-1)
        return energy.flatten(2).softmax(dim=2, dtype=torch.float32).view(energy.shape)


def positions(count: int, width: int) -> Float[Tensor, "count width"]:
    """Sinusoidal positions, counted from 1: the sines of all frequencies, then their cosines."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half) * (-math.log(10000) / (half - 1)))
    angles = torch.arange(1, count + 1)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def future(count: int) -> Bool[Tensor, "count count"]:
    """True where a token (row) may not look: at every later one (column)."""
    return torch.ones(count, count, dtype=torch.bool).triu(diagonal=1)
