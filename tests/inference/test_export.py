"""Networks as ONNX and as torch.export's files."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from cfnsr import cli
from cfnsr.errors import CfnsrError
from cfnsr.inference import export, formats
from cfnsr.inference.onnx_network import OnnxNetwork
from cfnsr.models import checkpoint, summary
from cfnsr.models.spec import ModelSpec
from cfnsr.models.types import Batch, Prediction
from tests.inference.conftest import save
from tests.support import zoo

SMALLER: dict[str, dict[str, Any]] = {"cfnsr": {"attention_layers": 1}, "eranns": {"depth": 1}}
READS = {"video": ["frames"], "audio": ["mfcc"], "eranns": ["mel"]}
OF_EACH_MODALITY = ["averaging", "multiplication", "multiplicative", "mmtm", "msaf"]


def small(name: str) -> ModelSpec:
    """Describe a network as small as its export is quick; its pixels are in the order of the published weights."""
    spec = zoo.spec(name)
    pixels = {"mean": [114.0, 107.0, 99.0], "std": [38.0, 37.0, 40.0], "order": "bgr"}
    return replace(spec, options={**spec.options, **SMALLER.get(name, {})}, pixels=pixels)


def torch_results(model: Path, arrays: formats.Arrays) -> list[torch.Tensor]:
    """Predict with the saved network, the frames normalised by hand."""
    spec, inputs = checkpoint.read_spec(model), formats.tensors(arrays)
    if "frames" in inputs:
        mean, std = torch.tensor(spec.pixels["mean"]), torch.tensor(spec.pixels["std"])
        inputs["frames"] = ((inputs["frames"].flip(-1).float() - mean) / std).movedim(-1, 1)
    clips = len(next(iter(arrays.values())))
    with torch.inference_mode():
        prediction = checkpoint.load(model)(Batch(inputs, torch.zeros(clips, dtype=torch.int64)))
    results = list(prediction) if spec.name in OF_EACH_MODALITY else [prediction.fused]
    return [result for result in results if result is not None]


@pytest.mark.parametrize("name", summary.names())
def test_onnx_predicts_what_torch_predicts(name: str, tmp_path: Path) -> None:
    spec = small(name)
    model, out = save(tmp_path / "model.safetensors", spec), tmp_path / "out.onnx"
    written = export.export(model, out)
    network = OnnxNetwork(out)
    assert network.spec == spec and written.difference <= export.TOLERANCE
    assert list(network.inputs) == list(written.inputs) == READS.get(name, ["frames", "mfcc"])
    assert len(network.outputs) == (3 if name in OF_EACH_MODALITY else 1)
    arrays = export.example_arrays(spec, list(spec.inputs), 5)
    results = list(network.predict(arrays).values())
    for result, expected in zip(results, torch_results(model, arrays), strict=True):
        np.testing.assert_allclose(result, expected, atol=1e-4, rtol=1e-5)
    assert np.ptp(results[0], axis=0).max() > 1e-3  # so that a constant would not pass


@pytest.mark.parametrize("name", ["concat", "mcbp"])
def test_networks_on_frozen_sequences(name: str, tmp_path: Path) -> None:
    inputs = {"audio_sequence": [10, 20], "video_sequence": [12, 35]}
    encoders = {key: {"name": "sequence", "channels": 8, "dropout": 0.1} for key in ("video", "audio")}
    spec = replace(small(name), encoders=encoders, inputs=inputs)
    model, out = save(tmp_path / "model.safetensors", spec), tmp_path / "out.onnx"
    assert list(export.export(model, out).inputs) == list(inputs)
    arrays = export.example_arrays(spec, list(inputs), 4)
    expected = torch_results(model, arrays)[0]
    np.testing.assert_allclose(OnnxNetwork(out).log_probabilities(arrays), expected, atol=1e-4)


def test_pt2_predicts_what_torch_predicts(tmp_path: Path) -> None:
    spec = small("concat")
    model, out = save(tmp_path / "model.safetensors", spec), tmp_path / "out.pt2"
    written = export.export(model, out)
    metadata = {"cfnsr": ""}
    program = torch.export.load(out, extra_files=metadata)
    assert ModelSpec.from_json(metadata["cfnsr"], out) == spec
    arrays = export.example_arrays(spec, list(written.inputs), 5)
    result = program.module()(formats.tensors(arrays))["log_probabilities"]
    assert torch.allclose(result, torch_results(model, arrays)[0], atol=1e-6)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli.main, ["export", *map(str, arguments)])
    return result.exit_code, result.output


def test_the_command_says_what_was_written(audio_model: Path, audio_onnx: Path, tmp_path: Path) -> None:
    status, output = run(audio_model, tmp_path / "out.onnx")
    assert status == 0 and re.search(r"out\.onnx: audio, 0\.1 MB\nreads mfcc \(float32, 13x212 a clip\)\n", output)
    assert "returns log_probabilities of emotion 0, emotion 1" in output
    assert re.search(r"differs from torch by at most \d(e-0\d)? on batches of 1 and 3 random clips\n$", output)
    assert (tmp_path / "out.onnx").read_bytes() == audio_onnx.read_bytes()  # the same model gives the same bytes


def test_files_hold_no_paths_of_the_machine(root: Path, audio_model: Path, audio_onnx: Path, tmp_path: Path) -> None:
    export.export(audio_model, tmp_path / "out.pt2")
    for file in (audio_onnx, tmp_path / "out.pt2"):
        content = file.read_bytes()
        assert b"fold_1" in content
        assert not any(text in content for text in (str(root).encode(), b".py", b"log_softmax("))


def test_a_file_that_differs_is_not_kept(audio_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = formats.FORMATS[".pt2"].read
    worse = replace(
        formats.FORMATS[".pt2"],
        read=lambda path: lambda arrays: {name: value + 1e-2 for name, value in read(path)(arrays).items()},
    )
    monkeypatch.setitem(formats.FORMATS, ".pt2", worse)
    status, output = run(audio_model, tmp_path / "out.pt2")
    assert status == 1 and "differ from torch's by 0.0" in output and len(output.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_what_a_format_cannot_hold_is_one_line(
    audio_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(traced: formats.Traced, path: Path) -> None:
        raise ValueError("no such operation\nand a long report")

    monkeypatch.setitem(formats.FORMATS, ".pt2", replace(formats.FORMATS[".pt2"], write=write))
    status, output = run(audio_model, tmp_path / "out.pt2")
    assert status == 1 and "cannot hold audio (ValueError: no such operation)" in output
    assert len(output.splitlines()) == 1 and not list(tmp_path.iterdir())


def test_a_difference_that_is_no_number_is_an_error() -> None:
    network = export.FromShards(zoo.small_scale("eranns").eval(), zoo.PIXELS)
    arrays = export.example_arrays(zoo.spec("eranns"), ["mel"], 1)
    absent = {"log_probabilities": np.full((1, 8), np.nan)}
    with torch.no_grad():
        assert np.isnan(export.max_difference(network, lambda _: absent, [arrays]))


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_missing_packages_are_one_line(
    package: str, audio_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    status, output = run(audio_model, tmp_path / "out.onnx")
    assert status == 1 and "pip install 'cfnsr[onnx]'" in output and len(output.splitlines()) == 1


def test_mistakes_are_errors_in_one_line(audio_onnx: Path, audio_model: Path, tmp_path: Path) -> None:
    for model, name, message in (
        (audio_model, "out.tflite", "ends neither in .onnx nor in .pt2"),
        (audio_onnx, "out.onnx", "cannot be read as safetensors"),
    ):
        status, output = run(model, tmp_path / name)
        assert status == 1 and message in output and len(output.splitlines()) == 1


class Deciding(torch.nn.Module):
    """A network that decides on a value, which cannot be traced."""

    def forward(self, batch: Batch) -> Prediction:
        scores = batch["mfcc"].mean(dim=2)
        return Prediction(scores if scores.sum() > 0 else -scores)


def test_a_network_that_decides_is_an_error() -> None:
    network = export.FromShards(Deciding(), zoo.PIXELS)
    example = formats.tensors(export.example_arrays(zoo.spec("audio"), ["mfcc"], 2))
    with pytest.raises(CfnsrError, match="cannot trace the network"):
        export.trace(network, example, Path("model"))
