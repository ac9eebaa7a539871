"""Any image encoder of ``transformers`` or ``timm`` with weights in safetensors format, on face crops.

Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", arXiv:2010.11929
(2020), is the kind that it is made for; convolutional ones are read too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor, nn

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.features.extractors import FrozenEncoder, pick_device, said_to_be_seen
from cfnsr.features.files import ClipFeatures, Facts
from cfnsr.preprocessing import extract, media
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.runtime import model_folder
from cfnsr.runtime.model_folder import ModelFolder

_WHERE, _EXTRA = "extractor image_transformer", "image-transformer"
_MEAN, _STD, _SIDE_PX = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224  # ImageNet's, where a model names no others
_APART = 1e-4  # by which the features of one picture may differ from run to run


class Extractor(FrozenEncoder):
    """Mean over patches and frames of each layer's output; over time the mean over the patches of each frame.

    Layers that are not as wide as the last one, as the early stages of a convolutional network, are left out, and so
    are tokens that stand for no patch.

    Args:
        model: a folder with ``config.json`` and ``model.safetensors``, or the name of a repository on Hugging Face.
        revision: commit of that repository; of a folder only noted.
        library: which one reads it.
        frames: number of frames, evenly spaced over the clip.
        device: ``auto`` (the GPU if there is one), ``cpu`` or ``cuda``. Not measured on GPU.
        batch_size: frames at a time.
        licence: of the weights, as their authors name it.
        trained_on: the corpora that the weights have seen, by the names that ``corpus`` knows; ``["unknown"]`` if
            nobody has said it.
        fetch_weights: whether a repository may be fetched; else it must be in the cache.

    Raises:
        CfnsrError: an option is out of bounds, a package or the weights are missing, or the model reads no pictures.
    """

    def __init__(
        self,
        *,
        model: str,
        revision: str,
        library: Literal["transformers", "timm"],
        frames: int,
        device: Literal["auto", "cpu", "cuda"],
        batch_size: int,
        licence: str,
        trained_on: list[str],
        fetch_weights: bool,
    ) -> None:
        if min(frames, batch_size) < 1:
            raise CfnsrError(_WHERE, f"frames is {frames}, batch_size {batch_size}", "Set each to 1 or more")
        self.device = pick_device(device, _WHERE)
        self.frames, self.batch_size = frames, batch_size
        folder = model_folder.find(model, revision, fetch_weights=fetch_weights, where=_WHERE, extra=_EXTRA)
        self.side_px, self.mean, self.std = _pixels(folder)
        network, self.layers = {"transformers": _transformers, "timm": _timm}[library](folder, self.side_px)
        network.to(self.device)
        self._try_out(folder)
        self.facts = Facts(
            name="image_transformer",
            modality="video",
            revision=folder.revision,
            sha256=folder.checksum(),
            licence=licence,
            trained_on=said_to_be_seen(trained_on),
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            rate_hz=0,
        )

    def of_clip(self, clip: Clip, boxes: FaceBoxes | None) -> ClipFeatures:
        """Compute the features of one clip; see ``FrozenEncoder``."""
        if boxes is None:
            raise CfnsrError(clip.path, "has no face boxes", "Fetch the landmarks of this clip again")
        timeline = media.timeline(clip.path)
        crops, _ = extract.face_crops(
            clip,
            timeline,
            boxes.boxes,
            offset_s=0.0,
            window_s=inf,
            frames=self.frames,
            side_px=self.side_px,
            decoder="pyav",
        )
        layers = self._of_frames(crops)
        seconds = min(clip.end_s, timeline.duration_s) - clip.start_s
        return ClipFeatures(layers.mean(axis=1).astype(np.float32), seconds, [*layers.astype(np.float32)])

    def _of_frames(self, crops: UInt8[np.ndarray, "frame side side 3"]) -> Float64[np.ndarray, "layer frame width"]:
        """Return each layer's mean over the patches of each frame."""
        batches = []
        for start in range(0, len(crops), self.batch_size):
            pixels = (crops[start : start + self.batch_size].astype(np.float32) / 255 - self.mean) / self.std
            with torch.inference_mode():
                layers = self.layers(torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device))
            layers = [layer for layer in layers if layer.shape[-1] == layers[-1].shape[-1]]
            batches.append(torch.stack(layers).double().cpu().numpy())
        return np.concatenate(batches, axis=1)

    def _try_out(self, folder: ModelFolder) -> None:
        """Check that the model reads pictures of this size, and gives the same picture the same features."""
        shape = (1, self.side_px, self.side_px, 3)
        picture = np.linspace(0, 255, int(np.prod(shape))).reshape(shape).astype(np.uint8)
        try:
            first, second = self._of_frames(picture), self._of_frames(picture)
        except Exception as error:  # libraries and models raise many types
            problem = f"cannot read a picture of {self.side_px} pixels ({type(error).__name__}: {error})"
            raise CfnsrError(
                folder.path, problem, "Give the encoder of images that its config.json describes"
            ) from error
        if not np.isfinite(first).all() or np.abs(first - second).max() > _APART:
            problem = "gives the same picture other features each time, as encoders that mask patches at random do"
            raise CfnsrError(folder.path, problem, "Choose an encoder that sees the whole picture")


def _pixels(folder: ModelFolder) -> tuple[int, Float32[np.ndarray, " 3"], Float32[np.ndarray, " 3"]]:
    """Return side in pixels, mean and standard deviation that the model's own files name, else ImageNet's."""
    config = folder.read_json("config.json")
    processor = folder.read_json("preprocessor_config.json")
    processor = processor or folder.read_json("processor_config.json").get("image_processor", {})
    timm = config.get("pretrained_cfg", {})
    mean = processor.get("image_mean") or timm.get("mean") or _MEAN
    std = processor.get("image_std") or timm.get("std") or _STD
    if not processor.get("do_normalize", True):
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    cropped = processor.get("crop_size") if processor.get("do_center_crop") else None
    own = config.get("vision_config", config).get("image_size", _SIDE_PX)
    side = cropped or processor.get("size") or timm.get("input_size") or own
    if isinstance(side, Mapping):
        side = next(iter(side.values()))
    if isinstance(side, Sequence):
        side = side[-1]
    return int(side), np.array(mean, np.float32), np.array(std, np.float32)


Layers = Callable[[Tensor], list[Tensor]]  # pictures -> of each layer, frame x width


def _transformers(folder: ModelFolder, side_px: int) -> tuple[nn.Module, Layers]:
    try:
        from transformers import AutoModel
        from transformers.utils import logging
    except ImportError as error:
        raise model_folder.missing_package(error, _WHERE, _EXTRA) from error
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        whole, loaded = AutoModel.from_pretrained(
            folder.path,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            token=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # a folder of somebody else
        raise folder.unread(error) from error
    folder.check_complete([name for name in loaded["missing_keys"] if "pooler" not in name])
    network = getattr(whole, "vision_model", whole)  # of encoders of pictures and text
    if getattr(network, "main_input_name", "") != "pixel_values":
        raise CfnsrError(folder.path, "reads no pictures", "Give an encoder of images")
    patch_px = getattr(network.config, "patch_size", side_px)
    patches = (side_px // (patch_px if isinstance(patch_px, int) else patch_px[0])) ** 2

    def layers(pixels: Tensor) -> list[Tensor]:
        states = network(pixel_values=pixels, output_hidden_states=True).hidden_states
        # Tokens of classes and registers come first.
        return [
            state.mean(dim=(2, 3)) if state.ndim == 4 else state[:, -patches if patches > 1 else 0 :].mean(dim=1)
            for state in states
        ]

    return network, layers


def _timm(folder: ModelFolder, side_px: int) -> tuple[nn.Module, Layers]:
    try:
        import timm
        from safetensors.torch import load_file
    except ImportError as error:
        raise model_folder.missing_package(error, _WHERE, _EXTRA) from error
    try:
        network: Any = timm.create_model(f"local-dir:{folder.path}", pretrained=False, num_classes=0).eval()
        arrays = {name: array for path in folder.weights for name, array in load_file(path).items()}
        loaded = network.load_state_dict(arrays, strict=False)
    except Exception as error:
        raise folder.unread(error) from error
    folder.check_complete(loaded.missing_keys)

    def layers(pixels: Tensor) -> list[Tensor]:
        return [state.mean(dim=(2, 3)) for state in network.forward_intermediates(pixels, intermediates_only=True)]

    return network, layers
