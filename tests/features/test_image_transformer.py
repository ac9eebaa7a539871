"""Small random encoders, written and read by the libraries themselves."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import transformers
from safetensors.torch import load_file, save_file

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.features import extractors
from cfnsr.features.extractors import FrozenEncoder
from cfnsr.features.files import ClipFeatures
from cfnsr.preprocessing import extract, media
from cfnsr.preprocessing.face_boxes import FaceBoxes
from tests.support.media import numbered

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
OPTIONS: dict[str, Any] = {
    "revision": "",
    "library": "transformers",
    "frames": 7,
    "device": "cpu",
    "batch_size": 4,
    "licence": "MIT",
    "trained_on": ["unknown"],
    "fetch_weights": False,
}
MEAN, STD = np.array([0.5, 0.4, 0.3], np.float32), np.array([0.2, 0.3, 0.4], np.float32)


def load(model: Path | str, **changes: Any) -> FrozenEncoder:
    return extractors.load("image_transformer", {**OPTIONS, "model": str(model), **changes}, "features.images")


def written(folder: Path, network: Any) -> Path:
    """Write a model in safetensors format, and what its pictures are normalised by."""
    network.save_pretrained(folder)
    processor = {"image_mean": MEAN.tolist(), "image_std": STD.tolist(), "size": {"height": 32, "width": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return written(tmp_path_factory.mktemp("vit"), transformers.ViTModel(transformers.ViTConfig(**SMALL)))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("clips")
    paths = [numbered(folder / f"{first}.mp4", frames=20 + first, first=first, sound_s=None) for first in (0, 9)]
    return [Clip(path.stem, path, "01", "sad") for path in paths]


def boxes_of(clips: list[Clip]) -> dict[str, FaceBoxes]:
    counts = {clip.id: len(media.timeline(clip.path).pts) for clip in clips}
    return {
        clip: FaceBoxes(np.tile([160.0, 120.0, 200.0], (count, 1)), np.ones(count), np.zeros(count, bool))
        for clip, count in counts.items()
    }


def extract_all(extractor: FrozenEncoder, clips: list[Clip]) -> list[ClipFeatures]:
    found = dict(extractor.features(clips, boxes_of(clips)))
    return [of_clip for clip in clips if isinstance(of_clip := found[clip], ClipFeatures)]


def means(extractor: FrozenEncoder, clips: list[Clip]) -> list[np.ndarray]:
    return [of_clip.means for of_clip in extract_all(extractor, clips)]


def crops_of(clip: Clip, side_px: int = 32) -> np.ndarray:
    boxes = boxes_of([clip])[clip.id].boxes
    window = {"offset_s": 0.0, "window_s": np.inf, "frames": 7, "side_px": side_px, "decoder": "pyav"}
    return extract.face_crops(clip, media.timeline(clip.path), boxes, **window)[0]


def test_layers_are_means_over_patches_and_frames(vit: Path, clips: list[Clip]) -> None:
    pixels = torch.from_numpy((crops_of(clips[0]).astype(np.float32) / 255 - MEAN) / STD).permute(0, 3, 1, 2)
    with torch.inference_mode():
        states = transformers.ViTModel.from_pretrained(vit)(pixels, output_hidden_states=True).hidden_states
    expected = np.stack([state[:, 1:].mean(dim=1).numpy() for state in states])
    (found,) = extract_all(load(vit), clips[:1])
    assert [layer.shape for layer in found.layers] == [(7, 32)] * 4 and found.means.shape == (4, 32)
    assert np.abs(np.stack(found.layers) - expected).max() < 1e-5
    assert np.abs(found.means - expected.mean(axis=1)).max() < 1e-5
    assert np.abs(np.diff(found.means, axis=0)).max() > 0.01


def test_batches_and_other_clips_change_nothing(vit: Path, clips: list[Clip]) -> None:
    first, second = means(load(vit), clips)
    alone = means(load(vit, batch_size=1), clips[1:])[0]
    together = means(load(vit, batch_size=7), clips[::-1])
    assert np.abs(first - second).max() > 1e-4
    assert np.abs(alone - second).max() <= 1e-5 and np.abs(together[0] - second).max() <= 1e-5
    assert all(np.array_equal(*pair) for pair in zip(means(load(vit), clips), (first, second), strict=True))


def test_facts_are_of_the_weights(vit: Path) -> None:
    facts = load(vit, revision="v1").facts
    assert facts.sha256 == hashlib.sha256((vit / "model.safetensors").read_bytes()).hexdigest()
    assert (facts.revision, facts.licence, facts.trained_on) == ("v1", "MIT", None)
    assert facts.parameters == sum(array.numel() for array in load_file(vit / "model.safetensors").values())
    assert load(vit, trained_on=["ravdess"]).facts.trained_on == ("ravdess",)


def test_encoder_of_pictures_and_text_is_read(clips: list[Clip], tmp_path: Path) -> None:
    small = {key: value for key, value in SMALL.items() if key not in ("image_size", "patch_size")}
    config = transformers.CLIPConfig(text_config={**small, "vocab_size": 50}, vision_config={**SMALL, "patch_size": 16})
    (found,) = means(load(written(tmp_path, transformers.CLIPModel(config))), clips[:1])
    assert found.shape == (4, 32)


def test_narrower_stages_are_left_out(clips: list[Clip], tmp_path: Path) -> None:
    config = transformers.ConvNextConfig(num_stages=2, hidden_sizes=[8, 16], depths=[1, 1], image_size=32)
    (found,) = means(load(written(tmp_path, transformers.ConvNextModel(config))), clips[:1])
    assert found.shape == (1, 16)


def test_model_of_timm_is_read(clips: list[Clip], tmp_path: Path) -> None:
    shape: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 2}
    network = timm.create_model("vit_tiny_patch16_224", num_classes=5, **shape).eval()
    config = {"architecture": "vit_tiny_patch16_224", "num_classes": 5, "model_args": shape}
    pixels = {"mean": MEAN.tolist(), "std": STD.tolist(), "input_size": [3, 32, 32]}
    (tmp_path / "config.json").write_text(json.dumps({**config, "pretrained_cfg": pixels}))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    (found,) = means(load(tmp_path, library="timm"), clips[:1])
    pictures = torch.from_numpy((crops_of(clips[0]).astype(np.float32) / 255 - MEAN) / STD).permute(0, 3, 1, 2)
    with torch.inference_mode():
        tokens = network.blocks(network.norm_pre(network._pos_embed(network.patch_embed(pictures))))
    assert found.shape == (3, 32) and np.abs(found[-1] - tokens[:, 1:].mean(dim=(0, 1)).numpy()).max() < 1e-5


def test_code_of_a_model_is_never_run(vit: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(vit, tmp_path / "model"))
    (folder / "own_code.py").write_text(f"open({str(tmp_path / 'was_run')!r}, 'w')\nraise SystemExit")
    for kind, problem in (("vit", None), ("own_kind", "cannot be loaded")):
        config = json.loads((vit / "config.json").read_text())
        own = {"AutoConfig": "own_code.Config", "AutoModel": "own_code.Model"}
        (folder / "config.json").write_text(json.dumps({**config, "model_type": kind, "auto_map": own}))
        if problem is None:
            assert load(folder).facts.sha256 == load(vit).facts.sha256
        else:
            with pytest.raises(CfnsrError, match=problem):
                load(folder)
    assert not (tmp_path / "was_run").exists()


def test_pixels_are_imagenets_unless_named(vit: Path, clips: list[Clip], tmp_path: Path) -> None:
    shutil.copytree(vit, tmp_path / "bare")
    processor = tmp_path / "bare/preprocessor_config.json"
    processor.unlink()
    (bare,) = means(load(tmp_path / "bare"), clips[:1])
    named = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "size": 32}
    processor.write_text(json.dumps(named))
    assert np.array_equal(means(load(tmp_path / "bare"), clips[:1])[0], bare)
    assert np.abs(means(load(vit), clips[:1])[0] - bare).max() > 1e-3


def test_useless_models_are_named(vit: Path, tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("empty", "pickle", "text", "random", "incomplete", "broken", "size")}
    folders["empty"].mkdir()
    for name in ("pickle", "incomplete", "broken", "size"):
        shutil.copytree(vit, folders[name])
    (folders["pickle"] / "model.safetensors").rename(folders["pickle"] / "pytorch_model.bin")
    arrays = load_file(vit / "model.safetensors")
    del arrays[min(name for name in arrays if "layer" in name)]
    save_file(arrays, folders["incomplete"] / "model.safetensors", metadata={"format": "pt"})
    (folders["broken"] / "config.json").write_text("{")
    (folders["size"] / "preprocessor_config.json").write_text('{"size": 40}')
    small = {key: value for key, value in SMALL.items() if key not in ("image_size", "patch_size")}
    transformers.BertModel(transformers.BertConfig(vocab_size=20, **small)).save_pretrained(folders["text"])
    decoder = {"decoder_hidden_size": 32, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2}
    transformers.ViTMAEModel(transformers.ViTMAEConfig(**SMALL, **decoder)).save_pretrained(folders["random"])
    problems = {
        "empty": "has no weights in safetensors format",
        "pickle": "has no weights in safetensors format",
        "text": "reads no pictures",
        "random": "gives the same picture other features each time",
        "incomplete": "lacks 1 arrays of weights, as ",
        "broken": r"config\.json: cannot be read",
        "size": "cannot read a picture of 40 pixels",
    }
    for name, problem in problems.items():
        with pytest.raises(CfnsrError, match=problem):
            load(folders[name])


@pytest.mark.parametrize("library", ["transformers", "timm"])
def test_missing_library_is_named(vit: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(CfnsrError, match=r"pip install 'cfnsr\[image-transformer\]'"):
        load(vit, library=library)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"frames": 0}, "frames is 0, batch_size 4"),
        ({"batch_size": 0}, "frames is 7, batch_size 0"),
        ({"library": "keras"}, r"features\.images\.options.*library.*'keras'"),
    ],
)
def test_wrong_options_are_refused(vit: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(CfnsrError, match=problem):
        load(vit, **options)


def test_clip_without_boxes_is_named(vit: Path, clips: list[Clip]) -> None:
    found = [of_clip for _, of_clip in load(vit).features(clips, boxes_of(clips[1:]))]
    assert "0.mp4: has no face boxes" in str(found[0])
    assert isinstance(found[1], ClipFeatures) and found[1].seconds == pytest.approx(29 / 29.97, abs=0.01)
