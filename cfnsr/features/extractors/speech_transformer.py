"""Any wav2vec2, HuBERT, WavLM or Whisper encoder in the format of the library ``transformers``.

Baevski, Zhou, Mohamed and Auli, "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations",
arXiv:2006.11477 (2020); Hsu et al., "HuBERT", arXiv:2106.07447 (2021); Chen et al., "WavLM", arXiv:2110.13900 (2021);
Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", arXiv:2212.04356 (2022).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.features.extractors import FrozenEncoder, pick_device, said_to_be_seen
from cfnsr.features.files import ClipFeatures, Facts
from cfnsr.preprocessing import container
from cfnsr.preprocessing.clip_sound import ClipSound
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.runtime import model_folder
from cfnsr.runtime.model_folder import ModelFolder

_WHERE, _EXTRA = "extractor speech_transformer", "speech-transformer"
_KINDS = ("wav2vec2", "hubert", "wavlm", "whisper")
_UNUSED = "masked_spec_embed"  # weights for training alone
_READ = 64  # clips whose sound is in memory at a time
_LONGEST_S = 60.0  # of sound at a time: the memory that attention needs grows faster than the length


class Extractor(FrozenEncoder):
    """All hidden layers: what enters the first block, then the output of each block, the last one normalised.

    Clips are batched with clips of the same length alone, so that no clip is padded to another's length. Whisper's
    clips are not padded to 30 s: the encoder is given as many positions as the clip has.

    Args:
        model: a folder with config.json, preprocessor_config.json and model.safetensors, or the name of a repository
            on Hugging Face.
        revision: commit of that repository; of a folder only noted.
        max_s: longest part of a clip that is used, in seconds, at most 60; of Whisper at most 30.
        device: ``auto`` (the GPU if there is one), ``cpu`` or ``cuda``.
        batch_size: most clips at a time, and at most 60 s of sound in all.
        licence: of the weights, as their authors name it.
        trained_on: the corpora that the weights have seen, by the names that ``corpus`` knows; ``["unknown"]`` if
            nobody has said it.
        fetch_weights: whether a repository may be fetched; else it must be in the cache.

    Raises:
        CfnsrError: an option is out of bounds, ``transformers`` or the weights are missing, or the model is of another
            kind or lacks some weights.
    """

    def __init__(
        self,
        *,
        model: str,
        revision: str,
        max_s: float,
        device: Literal["auto", "cpu", "cuda"],
        batch_size: int,
        licence: str,
        trained_on: list[str],
        fetch_weights: bool,
    ) -> None:
        if batch_size < 1:
            raise CfnsrError(_WHERE, f"batch_size is {batch_size}", "Set it to 1 or more")
        self._device, self._batch_size = pick_device(device, _WHERE), batch_size
        folder = model_folder.find(model, revision, fetch_weights=fetch_weights, where=_WHERE, extra=_EXTRA)
        self._prepare, self._encoder = _load(folder)
        self._encoder.eval().requires_grad_(False).to(self._device)
        self._positions: Tensor | None = None  # of Whisper, all of them
        rate_hz, longest_s = self._prepare.sampling_rate, _LONGEST_S
        if self._encoder.config.model_type == "whisper":
            self._positions = positions = self._encoder.embed_positions.weight
            longest_s = len(positions) * 2 * self._prepare.hop_length / rate_hz
        self._sound = ClipSound(rate_hz, max_s, _WHERE, longest_s)
        self.facts = Facts(
            name="speech_transformer",
            modality="audio",
            revision=folder.revision,
            sha256=folder.checksum(),
            licence=licence,
            trained_on=said_to_be_seen(trained_on),
            parameters=sum(weights.numel() for weights in self._encoder.parameters()),
            rate_hz=rate_hz,
        )

    def of_clip(self, clip: Clip, boxes: FaceBoxes | None) -> ClipFeatures:
        """Compute the features of one clip; see ``FrozenEncoder``."""
        return self._of_batch([self._sound.read(clip)])[0]

    def features(
        self, clips: Sequence[Clip], boxes: Mapping[str, FaceBoxes]
    ) -> Iterator[tuple[Clip, ClipFeatures | CfnsrError]]:
        """Yield each clip with its features, in batches by length; see ``FrozenEncoder``."""
        for first in range(0, len(clips), _READ):
            by_length: dict[int, list[tuple[Clip, np.ndarray]]] = defaultdict(list)
            for clip in clips[first : first + _READ]:
                try:
                    with container.one_clip(clip.path):
                        samples = self._sound.read(clip)
                except CfnsrError as error:
                    yield clip, error
                else:
                    by_length[samples.size].append((clip, samples))
            for length, same in by_length.items():
                count = max(1, min(self._batch_size, int(_LONGEST_S * self._sound.rate_hz / length)))
                for start in range(0, len(same), count):
                    batch = same[start : start + count]
                    of_batch = self._of_batch([samples for _, samples in batch])
                    yield from zip([clip for clip, _ in batch], of_batch, strict=True)

    @torch.inference_mode()
    def _of_batch(self, sounds: Sequence[Float32[np.ndarray, " sample"]]) -> list[ClipFeatures]:
        """Return the features of sounds of one length."""
        rate_hz = self._sound.rate_hz
        prepared = self._prepare(list(sounds), sampling_rate=rate_hz, padding=False, return_tensors="pt")
        inputs = prepared[self._prepare.model_input_names[0]].to(self._device)
        if self._positions is not None:
            # The encoder refuses another length than that of its table of positions. An odd last frame is left out.
            positions = self._positions[: inputs.shape[-1] // 2]
            self._encoder.config.max_source_positions = len(positions)
            self._encoder.embed_positions = nn.Embedding.from_pretrained(positions)
            inputs = inputs[..., : 2 * len(positions)]
        output = self._encoder(inputs, output_hidden_states=True)
        # Some kinds give the last block's output before the final normalisation.
        layers = [*output.hidden_states[:-1], output.last_hidden_state]
        means = torch.stack([layer.mean(dim=1) for layer in layers], dim=1).cpu().numpy()
        of_time = [layer.cpu().numpy() for layer in layers]
        return [
            ClipFeatures(means[clip], samples.size / rate_hz, [layer[clip] for layer in of_time])
            for clip, samples in enumerate(sounds)
        ]


def _load(folder: ModelFolder) -> tuple[Any, Any]:
    """Read a model; return what prepares its input, and the encoder.

    Raises:
        CfnsrError: see ``Extractor``.
    """
    kind = folder.read_json("config.json").get("model_type")
    if kind not in _KINDS:
        raise CfnsrError(folder.path, f"is a model of the kind {kind!r}", f"Choose one of: {', '.join(_KINDS)}")
    try:
        from transformers import AutoFeatureExtractor, AutoModel
        from transformers.utils import logging
    except ImportError as error:
        raise model_folder.missing_package(error, _WHERE, _EXTRA) from error
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, "token": False}
    try:
        prepare: Any = AutoFeatureExtractor.from_pretrained(folder.path, **local)
        model, loaded = AutoModel.from_pretrained(
            folder.path, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
        )
    except Exception as error:  # a folder of somebody else
        raise folder.unread(error) from error
    of_encoder = [name for name in loaded["missing_keys"] if kind != "whisper" or name.startswith("encoder.")]
    folder.check_complete([name for name in of_encoder if name != _UNUSED])
    return prepare, model.get_encoder() if kind == "whisper" else model
