"""Resemblyzer's speaker encoder, on the CPU and offline: a control that shows how much of a result is the speaker.

Wan, Wang, Papir and Lopez Moreno, "Generalized End-to-End Loss for Speaker Verification", arXiv:1710.10467 (2018). The
weights come inside Resemblyzer's wheel, which is not imported. Long silences are not cut out, as Resemblyzer does with
a detector of speech.
"""

from __future__ import annotations

import io
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram

from cfnsr.corpora.clip import Clip
from cfnsr.features.extractors import FrozenEncoder
from cfnsr.features.files import ClipFeatures, Facts
from cfnsr.preprocessing.clip_sound import ClipSound
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.runtime import package_files

_WHERE = "extractor speaker"
_SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
_REMEDY = "Run `pip install --no-deps Resemblyzer==0.1.4`: the weights are inside that package, which is not imported"
_TRAINED_ON = ("librispeech", "voxceleb1", "voxceleb2")  # its author, in the package's issue 3
_RATE_HZ, _FFT, _HOP, _MELS = 16000, 400, 160, 40
_WIDTH, _LAYERS = 256, 3
_WINDOW, _STEP = 160, 77  # frames of 10 ms in a window, and from one window to the next
_COVERED = 0.75  # share of the last window that must have sound
_QUIET = 10 ** (-30 / 20)  # sound below this root mean square is amplified to it


class Extractor(FrozenEncoder):
    """One layer of 256: the mean of the embeddings of windows of 1.6 s, scaled to length one.

    Over time the embedding of each window, one every 0.77 s.

    Args:
        max_s: longest part of a clip that is used, in seconds.

    Raises:
        CfnsrError: the weights are missing or other ones, or ``max_s`` is out of bounds.
    """

    def __init__(self, *, max_s: float) -> None:
        self._sound = ClipSound(_RATE_HZ, max_s, _WHERE)
        content = package_files.read("resemblyzer", "pretrained.pt", sha256=_SHA256, where=_WHERE, remedy=_REMEDY)
        state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")["model_state"]
        self._encoder = Encoder().eval().requires_grad_(False)
        # The others are a scale and an offset of the loss.
        self._encoder.load_state_dict({name: state[name] for name in self._encoder.state_dict()})
        self.facts = Facts(
            name="speaker",
            modality="audio",
            revision="Resemblyzer 0.1.4",
            sha256=_SHA256,
            licence="Apache-2.0",
            trained_on=_TRAINED_ON,
            parameters=sum(weights.numel() for weights in self._encoder.parameters()),
            rate_hz=_RATE_HZ,
        )

    def of_clip(self, clip: Clip, boxes: FaceBoxes | None) -> ClipFeatures:
        """Compute the features of one clip; see ``FrozenEncoder``."""
        samples = self._sound.read(clip)
        with torch.inference_mode():
            embeddings = self._encoder(windows(torch.from_numpy(samples)))
            mean = nn.functional.normalize(embeddings.mean(dim=0, keepdim=True))
        return ClipFeatures(mean.numpy(), samples.size / _RATE_HZ, (embeddings.numpy(),))


class Encoder(nn.Module):
    """Mel spectrograms -> embeddings of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_MELS, _WIDTH, _LAYERS, batch_first=True)
        self.linear = nn.Linear(_WIDTH, _WIDTH)

    def forward(self, mel: Float[Tensor, "window frame 40"]) -> Float[Tensor, "window width"]:
        """Return the embedding of each window: what the last layer has in memory after the last frame."""
        _, (hidden, _) = self.lstm(mel)
        return nn.functional.normalize(self.linear(hidden[-1]).relu(), dim=1)


def windows(samples: Float[Tensor, " sample"]) -> Float[Tensor, "window 160 40"]:
    """Compute the mel power spectrogram of overlapping windows; the last one is filled up with silence.

    Args:
        samples: at 16 kHz.
    """
    rms = samples.square().mean().sqrt().item()
    samples = samples * max(_QUIET / rms, 1.0)
    frames = len(samples) // _HOP + 1
    starts = list(range(0, max(1, frames - _WINDOW + _STEP + 1), _STEP))
    if len(starts) > 1 and len(samples) / _HOP - starts[-1] < _COVERED * _WINDOW:
        starts.pop()
    padded = nn.functional.pad(samples, (0, max((starts[-1] + _WINDOW) * _HOP - len(samples), 0)))
    mel = _mel()(padded).T
    return torch.stack([mel[start : start + _WINDOW] for start in starts])


@cache
def _mel() -> MelSpectrogram:
    return MelSpectrogram(
        _RATE_HZ, _FFT, hop_length=_HOP, n_mels=_MELS, pad_mode="constant", norm="slaney", mel_scale="slaney"
    )
