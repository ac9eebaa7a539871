"""Import and export of published checkpoints."""

from __future__ import annotations

import pickle
import random
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from cfnsr import cli
from cfnsr.errors import CfnsrError
from cfnsr.models import checkpoint
from cfnsr.models import published as exchange
from tests.support import published, zoo
from tests.support.memory import at_most


@pytest.fixture(scope="module", params=exchange.SYSTEMS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def file(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(name) / "best fold<1>.pth"
    torch.save(published.state(name), path)
    return path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


def test_import_and_export_keep_every_bit(name: str, file: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    result = run("import-checkpoint", "--system", name, "--fold", "fold_2", file, model)
    assert result.exit_code == 0 and f"{published.system(name)['parameters']:,} parameters" in result.output
    result = run("export-checkpoint", model, tmp_path / "again.pth")
    assert result.exit_code == 0, result.output
    original, again = (torch.load(path, weights_only=True) for path in (file, tmp_path / "again.pth"))
    assert {key for key in again if not key.endswith("num_batches_tracked")} == set(original)
    for key, tensor in original.items():
        assert torch.equal(again[key], tensor) and again[key].dtype == tensor.dtype
    spec = checkpoint.read_spec(model)
    assert spec.fold == "fold_2" and spec.imported[0]["file"] == "best_fold_1_.pth"
    assert len(spec.imported[0]["sha256"]) == 64


def test_counters_of_batchnorm_are_kept(tmp_path: Path) -> None:
    state = published.state("audio") | {"bn1.num_batches_tracked": torch.tensor(41)}
    torch.save(state, tmp_path / "a.pth")
    network, spec = exchange.read("audio", "fold_1", tmp_path / "a.pth")
    assert network.encoder.stages.conv1.norm.num_batches_tracked == 41
    assert network.encoder.stages.conv3.norm.num_batches_tracked == 0
    checkpoint.save(tmp_path / "a.safetensors", network, spec)
    exchange.export(tmp_path / "a.safetensors", tmp_path / "b.pth")
    assert torch.load(tmp_path / "b.pth", weights_only=True)["bn1.num_batches_tracked"] == 41


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 7},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: state | {"audio_attention.version": torch.tensor([2.0]), "p._float_tensor": torch.zeros(1)},
    ],
)
def test_other_published_layouts_are_read(wrap: Any, tmp_path: Path) -> None:
    torch.save(wrap(published.state("audio")), tmp_path / "a.pth")
    network, _ = exchange.read("audio", "fold_1", tmp_path / "a.pth")
    assert torch.equal(network.encoder.head.linear.bias, published.state("audio")["fc1.bias"])


def test_missing_extra_and_differently_shaped_tensors_are_named(tmp_path: Path) -> None:
    state = published.state("audio")
    del state["conv1.bias"]
    state["fc1.weight"] = torch.zeros(8, 1600)
    state["fc9.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(CfnsrError) as caught:
        exchange.read("audio", "fold_1", tmp_path / "a.pth")
    for part in (
        "1 missing: conv1.bias;",
        "1 extra: fc9.weight;",
        "1 of another shape: fc1.weight [8, 1600], not [8, 1664]",
    ):
        assert part in str(caught.value)


def test_another_systems_file_is_an_error(tmp_path: Path) -> None:
    torch.save(published.state("audio"), tmp_path / "a.pth")
    arguments = ["--system", "cfnsr", "--fold", "f", tmp_path / "a.pth", tmp_path / "b.safetensors"]
    result = run("import-checkpoint", *arguments)
    assert result.exit_code == 1 and len(result.output.splitlines()) == 1
    assert "352 missing" in result.output and "20 extra" in result.output and "348 more" in result.output
    assert not (tmp_path / "b.safetensors").exists()


@pytest.mark.parametrize(
    "tensor",
    [
        torch.full((32,), float("nan")),
        torch.ones(32, dtype=torch.int32),
        torch.ones(32, dtype=torch.complex64),
        torch.ones(32).to_sparse(),
    ],
)
def test_unusable_tensors_are_named(tensor: torch.Tensor, tmp_path: Path) -> None:
    torch.save(published.state("audio") | {"bn1.weight": tensor}, tmp_path / "a.pth")
    with pytest.raises(CfnsrError, match=r"1 not finite, or not plain tensors of numbers: bn1\.weight"):
        exchange.read("audio", "fold_1", tmp_path / "a.pth")


def test_a_small_file_takes_no_memory(tmp_path: Path) -> None:
    large = torch.zeros(1).expand(2**28)  # a gigabyte once it is computed with
    torch.save(published.state("audio") | {"extra": large}, tmp_path / "a.pth")
    with at_most(megabytes=200), pytest.raises(CfnsrError, match="1 extra: extra"):
        exchange.read("audio", "fold_1", tmp_path / "a.pth")


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    torch.save({"extra": torch.zeros(2**20)}, tmp_path / "a.pth")
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as plain,
        zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for name in plain.namelist():
            small.writestr(name, plain.read(name))
    with pytest.raises(CfnsrError, match=r"is compressed: its [\d,]+ bytes unpack to 4,"):
        exchange.read("audio", "fold_1", tmp_path / "b.pth")


def test_negative_variances_and_double_names_are_errors(tmp_path: Path) -> None:
    state = published.state("audio")
    torch.save(state | {"bn1.running_var": -torch.ones(32)}, tmp_path / "a.pth")
    with pytest.raises(CfnsrError, match=r"1 not finite.*bn1\.running_var"):
        exchange.read("audio", "fold_1", tmp_path / "a.pth")
    torch.save(state | {"module.bn1.bias": state["bn1.bias"]}, tmp_path / "a.pth")
    with pytest.raises(CfnsrError, match="contains a tensor twice"):
        exchange.read("audio", "fold_1", tmp_path / "a.pth")


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_a_damaged_file_is_an_error(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    torch.save({"bn1.bias": torch.zeros(3)}, folder / "a.pth")
    generator, content = random.Random(seed), bytearray((folder / "a.pth").read_bytes())
    for _ in range(generator.randint(1, 8)):
        content[generator.randrange(len(content))] = generator.randrange(256)
    (folder / "a.pth").write_bytes(content[: generator.choice([len(content), generator.randrange(len(content))])])
    with pytest.raises(CfnsrError):
        exchange.read("audio", "fold_1", folder / "a.pth")


def test_two_exports_have_the_same_bytes(tmp_path: Path) -> None:
    path = model(tmp_path)
    for name in ("a.pth", "b.pth"):
        exchange.export(path, tmp_path / name)
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()


@pytest.mark.parametrize("command", ["import-checkpoint", "export-checkpoint"])
def test_unwritable_paths_are_errors_in_one_line(command: str, tmp_path: Path) -> None:
    torch.save(published.state("audio"), tmp_path / "a.pth")
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    imported = ["--system", "audio", "--fold", "f", tmp_path / "a.pth"]
    result = run(command, *(imported if command == "import-checkpoint" else [model(tmp_path)]), out)
    assert result.exit_code == 1 and f"{out}: cannot be written" in result.output
    assert len(result.output.splitlines()) == 1


class Harmful:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("harmed"),)


@pytest.mark.parametrize("content", ["code", "pickle", "text", "nothing", "list", "cut"])
def test_other_files_are_errors_and_never_run(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.pth"
    if content == "code":
        torch.save({"conv1.weight": Harmful()}, path)
    elif content == "pickle":
        path.write_bytes(pickle.dumps(Harmful(), protocol=2))
    elif content == "list":
        torch.save([torch.zeros(1)], path)
    elif content == "cut":
        torch.save(published.state("audio"), path)
        path.write_bytes(path.read_bytes()[:2000])
    else:
        path.write_bytes(b"weights" if content == "text" else b"")
    with pytest.raises(
        CfnsrError, match=r"a\.pth: (cannot be read as tensors alone \(.*no code in it was run|is not a state dict)"
    ):
        exchange.read("audio", "fold_1", path)
    assert not Path("harmed").exists()


def model(folder: Path, **changes: Any) -> Path:
    spec = replace(exchange.spec("audio", "fold_1", published.GOLDEN), **changes)
    checkpoint.save(folder / "model.safetensors", spec.build(), spec)
    return folder / "model.safetensors"


PIXELS = exchange.spec("audio", "f", published.GOLDEN).pixels


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": {"mfcc": [13, 100]}}, r"inputs\.mfcc is \[13, 100\], not \[13, 212\]"),
        ({"labels": ["sad", "glad"]}, r"labels is \['sad', 'glad'\], not"),
        (
            {"name": "averaging", "encoders": zoo.SMALLER_ENCODERS},
            r"is a model of averaging; published are only video, audio, cfnsr, msaf",
        ),
        ({"pixels": {**PIXELS, "order": "rgb"}}, r"pixels\.order is rgb, not bgr"),
        ({"preprocessing": {"extract": {"audio": {"rate_hz": 8000}}}}, r"audio\.rate_hz is 8000, not 44100"),
        ({"name": "video", "encoders": zoo.SMALLER_ENCODERS}, r"encoders\.video\.layers is \[1, 1, 1, 1\]"),
    ],
)
def test_only_published_networks_are_exported(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match=message):
        exchange.export(model(tmp_path, **changes), tmp_path / "out.pth")
    assert not (tmp_path / "out.pth").exists()


def test_dropout_may_differ_in_an_export(tmp_path: Path) -> None:
    path = model(tmp_path, encoders={"audio": {**zoo.ENCODERS["audio"], "dropout": 0.7}})
    assert exchange.export(path, tmp_path / "out.pth") == "audio"
