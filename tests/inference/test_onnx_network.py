"""Networks in ONNX files, from anyone."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from cfnsr import __version__
from cfnsr.errors import CfnsrError
from cfnsr.inference import export
from cfnsr.inference.onnx_network import OnnxNetwork
from cfnsr.models import checkpoint
from cfnsr.models.spec import ModelSpec


@pytest.fixture
def arrays(audio_model: Path) -> dict[str, np.ndarray]:
    spec = checkpoint.read_spec(audio_model)
    return export.example_arrays(spec, list(spec.inputs), 3)


def test_a_clip_is_predicted_alike_in_any_batch(audio_onnx: Path, arrays: dict[str, np.ndarray]) -> None:
    network = OnnxNetwork(audio_onnx, threads=1)
    together = network.log_probabilities(arrays)
    assert together.shape == (3, 8) and together.dtype == np.float32
    np.testing.assert_allclose(np.exp(together).sum(axis=1), 1, atol=1e-5)
    alone = [network.log_probabilities({"mfcc": arrays["mfcc"][number : number + 1]}) for number in range(3)]
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-5)
    assert network.log_probabilities({"mfcc": arrays["mfcc"][:0]}).shape == (0, 8)


def test_other_programs_find_labels_and_preprocessing(audio_onnx: Path, audio_model: Path) -> None:
    proto = onnx.load(audio_onnx)
    onnx.checker.check_model(proto, full_check=True)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    assert metadata["cfnsr_version"] == __version__
    assert ModelSpec.from_json(metadata["cfnsr"], audio_onnx) == checkpoint.read_spec(audio_model)
    (dimension,) = {
        value.type.tensor_type.shape.dim[0].dim_param for value in (*proto.graph.input, *proto.graph.output)
    }
    assert dimension == "batch"


def test_clips_that_do_not_fit_are_errors(audio_onnx: Path, arrays: dict[str, np.ndarray]) -> None:
    network, mfcc = OnnxNetwork(audio_onnx), arrays["mfcc"]
    for given, message in (
        ({"mel": mfcc}, "needs the array mfcc"),
        ({"mfcc": mfcc.astype(np.float64)}, r"mfcc is float64 \(13, 212\) a clip, not float32 \(13, 212\)"),
        ({"mfcc": mfcc[:, :, 1:]}, r"mfcc is float32 \(13, 211\) a clip"),
    ):
        with pytest.raises(CfnsrError, match=message):
            network.log_probabilities(given)


def another_name(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].name = proto.graph.node[0].input[0] = "sound"


def another_shape(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 300


def another_result(proto: onnx.ModelProto) -> None:
    proto.graph.node.append(helper.make_node("Identity", [proto.graph.output[0].name], ["other"]))
    proto.graph.output[0].name = "other"


def no_metadata(proto: onnx.ModelProto) -> None:
    del proto.metadata_props[:]


def damaged_metadata(proto: onnx.ModelProto) -> None:
    proto.metadata_props[0].value = '{"labels": [1]}'


def damaged_card(proto: onnx.ModelProto) -> None:
    (entry,) = (entry for entry in proto.metadata_props if entry.key == "cfnsr_card")
    entry.value = '{"labels": 1}'


def data_elsewhere(proto: onnx.ModelProto) -> None:
    weights = proto.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../../../../../etc/passwd")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (another_name, "its input sound is tensor.float. .* which its description does not name"),
        (another_shape, "its input mfcc is|cannot be read as ONNX"),
        (another_result, "has no log_probabilities of 8 emotions"),
        (no_metadata, "is ONNX, but not a network of cfnsr"),
        (damaged_metadata, "its description cannot be read"),
        (damaged_card, r"is not the card of a model .* Give a file written by `cfnsr export`"),
        (data_elsewhere, "cannot be read as ONNX"),
    ],
)
def test_strange_files_are_errors_in_one_line(
    change: Callable[[onnx.ModelProto], None], message: str, audio_onnx: Path, tmp_path: Path
) -> None:
    proto = onnx.load(audio_onnx)
    change(proto)
    (tmp_path / "strange.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(CfnsrError) as caught:
        OnnxNetwork(tmp_path / "strange.onnx")
    assert re.search(message, str(caught.value)) and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("content", [None, b"", b"text", b"\x08\x0a\xff"])
def test_files_that_are_not_onnx_are_errors(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "file.onnx").write_bytes(content)
    with pytest.raises(CfnsrError, match=r"file\.onnx: cannot be read as ONNX|is ONNX, but not a network of cfnsr"):
        OnnxNetwork(tmp_path / "file.onnx")


def test_without_onnxruntime_the_error_says_how_to_install_it(
    audio_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(CfnsrError, match=r"pip install 'cfnsr\[onnx\]'"):
        OnnxNetwork(audio_onnx)
