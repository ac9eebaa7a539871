"""Mean and standard deviation over time of mel cepstra: a baseline without weights.

Davis and Mermelstein, "Comparison of parametric representations for monosyllabic word recognition in continuously
spoken sentences", IEEE Transactions on Acoustics, Speech, and Signal Processing 28(4) (1980).
"""

from __future__ import annotations

import numpy as np

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.features.extractors import FrozenEncoder
from cfnsr.features.files import ClipFeatures, Facts
from cfnsr.preprocessing import audio
from cfnsr.preprocessing.clip_sound import ClipSound
from cfnsr.preprocessing.face_boxes import FaceBoxes

_WHERE = "extractor mel_statistics"
_TOP_DB = 80.0  # the log-mel is cut this many dB below its maximum


class Extractor(FrozenEncoder):
    """One layer: the means of the cepstra, then their standard deviations; over time the cepstra.

    Args:
        coefficients: of the cepstrum; the width is twice as many.
        mels: mel bands, at least as many as coefficients.
        n_fft: samples in each Fourier transform.
        hop: samples from one frame to the next.
        rate_hz: sampling rate in Hz.
        max_s: longest part of a clip that is used, in seconds.

    Raises:
        CfnsrError: there are more coefficients than bands, or ``max_s`` is out of bounds.
    """

    def __init__(self, *, coefficients: int, mels: int, n_fft: int, hop: int, rate_hz: int, max_s: float) -> None:
        if coefficients > mels:
            raise CfnsrError(_WHERE, f"{coefficients} coefficients of {mels} mels", "Lower coefficients")
        self._analysis = {"mels": mels, "coefficients": coefficients, "n_fft": n_fft, "hop": hop, "top_db": _TOP_DB}
        self._sound = ClipSound(rate_hz, max_s, _WHERE)
        self.facts = Facts(
            name="mel_statistics",
            modality="audio",
            revision="1",
            trained_on=(),
            rate_hz=rate_hz,
        )

    def of_clip(self, clip: Clip, boxes: FaceBoxes | None) -> ClipFeatures:
        """Compute the features of one clip; see ``FrozenEncoder``."""
        samples = self._sound.read(clip)
        cepstra = audio.features(samples, rate_hz=self._sound.rate_hz, **self._analysis)["mfcc"].astype(np.float64)
        statistics = np.concatenate([cepstra.mean(axis=1), cepstra.std(axis=1)])
        seconds = samples.size / self._sound.rate_hz
        return ClipFeatures(statistics[None].astype(np.float32), seconds, (cepstra.T.astype(np.float32),))
