"""Small random encoders that ``transformers`` has written, read back by the code that reads the large ones."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.features import extractors
from cfnsr.features.extractors import FrozenEncoder
from cfnsr.features.files import ClipFeatures
from tests.support import sounds

OPTIONS: dict[str, Any] = {
    "revision": "", "max_s": 20.0, "device": "cpu", "batch_size": 4, "licence": "MIT", "trained_on": ["unknown"],
    "fetch_weights": False,
}  # fmt: skip
CONVOLUTIONS = {"conv_dim": (16, 16), "conv_kernel": (10, 8), "conv_stride": (5, 64)}
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    **CONVOLUTIONS,
}
SMALL_WHISPER = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "vocab_size": 32,
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 1),
}
KINDS: dict[str, Callable[[], Any]] = {
    "wav2vec2": lambda: transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**SMALL, vocab_size=8)),
    "hubert": lambda: transformers.HubertModel(
        transformers.HubertConfig(**SMALL, do_stable_layer_norm=True, feat_extract_norm="layer")
    ),
    "wavlm": lambda: transformers.WavLMModel(transformers.WavLMConfig(**SMALL, do_stable_layer_norm=True)),
    "whisper": lambda: transformers.WhisperModel(transformers.WhisperConfig(**SMALL_WHISPER)),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By kind, the folder of a model."""
    transformers.utils.logging.disable_progress_bar()
    folders = {}
    for number, (kind, make) in enumerate(KINDS.items()):
        torch.manual_seed(number)
        folders[kind] = tmp_path_factory.mktemp(kind)
        make().save_pretrained(folders[kind])
        prepare = transformers.WhisperFeatureExtractor if kind == "whisper" else transformers.Wav2Vec2FeatureExtractor
        prepare().save_pretrained(folders[kind])
    return folders


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """Clips of which the first three have one length, and the others lengths of their own."""
    folder = tmp_path_factory.mktemp("clips")
    return [
        sounds.clip(folder / f"{number}.wav", sounds.chirp(samples, 100 + 40 * number))
        for number, samples in enumerate((8000, 8000, 8000, 8001, 3200, 16100))
    ]


def load(folder: Path | str, **options: object) -> FrozenEncoder:
    return extractors.load("speech_transformer", {**OPTIONS, "model": str(folder), **options}, "features.speech")


@pytest.mark.parametrize("kind", KINDS)
def test_all_layers_are_the_librarys(folders: dict[str, Path], clips: list[Clip], kind: str) -> None:
    model = transformers.AutoModel.from_pretrained(folders[kind]).eval()
    prepare = transformers.AutoFeatureExtractor.from_pretrained(folders[kind])
    samples = sounds.chirp(16100, 300)
    samples = np.trunc(32767 * samples) / np.float32(32768)  # as the wav file has it
    with torch.inference_mode():
        if kind == "whisper":
            layers = layers_of_whisper(model.get_encoder(), prepare(samples, sampling_rate=16000, padding=False))
        else:
            given = prepare(samples, sampling_rate=16000, return_tensors="pt").input_values
            output = model(given, output_hidden_states=True)
            layers = [*output.hidden_states[:-1], output.last_hidden_state]
    expected = torch.cat(layers).numpy()
    found = sounds.features(load(folders[kind]), clips)["5"]
    assert found.means.shape == (3, 16) and np.stack(found.layers).shape == expected.shape
    assert np.abs(np.stack(found.layers) - expected).max() < 1e-5
    assert np.abs(found.means - expected.mean(axis=1)).max() < 1e-5


def layers_of_whisper(encoder: Any, prepared: Any) -> list[torch.Tensor]:
    """Run Whisper's parts one by one, for a clip that is not padded."""
    gelu = torch.nn.functional.gelu
    mel = torch.from_numpy(np.array(prepared.input_features))
    x = gelu(encoder.conv2(gelu(encoder.conv1(mel)))).transpose(1, 2)
    layers = [x + encoder.embed_positions.weight[: x.shape[1]]]
    for block in encoder.layers:
        layers.append(block(layers[-1], None))
    layers[-1] = encoder.layer_norm(layers[-1])
    return layers


@pytest.mark.parametrize("kind", KINDS)
def test_batch_and_neighbours_change_nothing(folders: dict[str, Path], clips: list[Clip], kind: str) -> None:
    together = sounds.features(load(folders[kind]), clips)
    alone = load(folders[kind], batch_size=1)
    for clip in reversed(clips):
        found, beside = sounds.features(alone, [clip])[clip.id], together[clip.id]
        assert found.means.shape == (3, 16) and np.abs(found.means - beside.means).max() <= 1e-5
        assert np.abs(np.stack(found.layers) - np.stack(beside.layers)).max() <= 1e-5
        assert np.abs(alone.of_clip(clip, None).means - found.means).max() <= 1e-5
    assert np.abs(together["0"].means - together["1"].means).max() > 1e-3


def test_batches_hold_sixty_seconds(folders: dict[str, Path], tmp_path: Path) -> None:
    extractor: Any = load(folders["wavlm"], batch_size=8)
    sizes = []
    extractor._encoder.register_forward_pre_hook(lambda _, args: sizes.append(tuple(args[0].shape)))
    long = sounds.clip(tmp_path / "long.wav", sounds.chirp(20 * sounds.RATE_HZ))
    short = sounds.clip(tmp_path / "short.wav", sounds.chirp(sounds.RATE_HZ))
    sounds.features(extractor, [long, short] * 10)
    assert sizes == [(3, 320000)] * 3 + [(1, 320000), (8, 16000), (2, 16000)]


def test_bad_clip_leaves_the_others(folders: dict[str, Path], clips: list[Clip], tmp_path: Path) -> None:
    silent = sounds.clip(tmp_path / "silent.wav", np.zeros(8000, np.float32))
    found = dict(load(folders["wavlm"]).features([clips[0], silent, clips[1]], {}))
    assert "silent.wav: its sound is constant" in str(found[silent])
    first, second = found[clips[0]], found[clips[1]]
    assert isinstance(first, ClipFeatures) and isinstance(second, ClipFeatures) and first.seconds == 0.5


def test_facts_are_of_options_and_files(folders: dict[str, Path]) -> None:
    facts = load(folders["wavlm"], revision="abc", licence="CC BY-SA 3.0", trained_on=["librispeech"]).facts
    weights = (folders["wavlm"] / "model.safetensors").read_bytes()
    assert facts.sha256 == hashlib.sha256(weights).hexdigest()
    assert (facts.revision, facts.licence, facts.trained_on) == ("abc", "CC BY-SA 3.0", ("librispeech",))
    assert facts.rate_hz == 16000 and facts.parameters == KINDS["wavlm"]().num_parameters()
    assert load(folders["wavlm"]).facts.trained_on is None
    assert load(folders["wavlm"], trained_on=[]).facts.trained_on == ()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"device": "tpu"}, r"features\.speech\.options\.device: .*'tpu'"),
        ({"trained_on": "unknown"}, r"features\.speech\.options\.trained_on: .*list"),
        ({"max_s": 30.1}, r"max_s is 30\.1\. Set max_s to 0\.1 to 30 seconds"),
        ({"model": "owner/model", "revision": "main"}, "owner/model is no folder, and revision is 'main'"),
    ],
)
def test_wrong_options_are_refused(folders: dict[str, Path], options: dict[str, Any], problem: str) -> None:
    with pytest.raises(CfnsrError, match=problem):
        load(options.pop("model", folders["whisper"]), **options)


def test_weights_that_lack_a_layer_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["hubert"], tmp_path / "hubert"))
    weights = load_file(folder / "model.safetensors")
    kept = {name: weights[name] for name in weights if "encoder.layers.1." not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CfnsrError, match=r"lacks \d+ arrays of weights, as encoder\.layers\.1\."):
        load(folder)
    (folder / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(CfnsrError, match="cannot be loaded"):
        load(folder)


def test_pickles_and_other_kinds_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    pickled = Path(shutil.copytree(folders["hubert"], tmp_path / "pickled"))
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(CfnsrError, match="has no weights in safetensors format"):
        load(pickled)
    bert = Path(shutil.copytree(folders["hubert"], tmp_path / "bert"))
    (bert / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CfnsrError, match=r"is a model of the kind 'bert'\. Choose one of: wav2vec2, hubert"):
        load(bert)


def test_missing_library_is_named(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(CfnsrError, match=r"Run `pip install 'cfnsr\[speech-transformer\]'`"):
        load(folders["hubert"])
