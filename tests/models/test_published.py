"""Published checkpoints, in and out."""

from __future__ import annotations

import pickle
import random
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
from tests.support import published


@pytest.fixture(scope="module", params=exchange.SYSTEMS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def file(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(name) / "best fold<1>.pth"
    torch.save(published.state(name), path)
    return path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(cli.main, [str(one) for one in arguments])


def test_in_and_out_and_in_again_is_the_same_to_the_bit(name: str, file: Path, tmp_path: Path) -> None:
    models = [tmp_path / f"{number}.safetensors" for number in range(2)]
    inwards = run("import-checkpoint", "--system", name, "--fold", "fold_2", file, models[0])
    assert inwards.exit_code == 0 and f"{published.system(name)['parameters']:,} parameters" in inwards.output
    outwards = run("export-checkpoint", models[0], tmp_path / "again.pth")
    assert outwards.exit_code == 0, outwards.output
    original, again = (torch.load(path, weights_only=True) for path in (file, tmp_path / "again.pth"))
    assert {key for key in again if not key.endswith("num_batches_tracked")} == set(original)
    for key, tensor in original.items():
        assert torch.equal(again[key], tensor) and again[key].dtype == tensor.dtype
    exchanged, described = exchange.read(name, "fold_2", tmp_path / "again.pth")
    first = checkpoint.load(models[0])
    for key, tensor in first.state_dict().items():
        assert torch.equal(exchanged.state_dict()[key], tensor)
    kept = checkpoint.specification(models[0])
    assert kept["fold"] == "fold_2" and kept["imported"][0]["file"] == "best_fold_1_.pth"
    assert len(kept["imported"][0]["sha256"]) == 64 and described["labels"] == kept["labels"]
    assert not first.training


def test_counters_travel(tmp_path: Path) -> None:
    state = published.state("audio") | {"bn1.num_batches_tracked": torch.tensor(41)}
    torch.save(state, tmp_path / "a.pth")
    network, described = exchange.read("audio", "fold_1", tmp_path / "a.pth")
    assert network.encoder.trunk.conv1.norm.num_batches_tracked == 41
    assert network.encoder.trunk.conv3.norm.num_batches_tracked == 0
    checkpoint.save(tmp_path / "a.safetensors", network, described)
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
def test_what_published_code_saves_beside_the_weights_is_no_harm(wrap: Any, tmp_path: Path) -> None:
    torch.save(wrap(published.state("audio")), tmp_path / "a.pth")
    network, _ = exchange.read("audio", "fold_1", tmp_path / "a.pth")
    assert torch.equal(network.encoder.head.linear.bias, published.state("audio")["fc1.bias"])


def test_a_wrong_file_says_which_tensors_are_missing_extra_or_misshapen(tmp_path: Path) -> None:
    state = published.state("audio")
    del state["conv1.bias"]
    state["fc1.weight"] = torch.zeros(8, 1600)
    state["fc9.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(CfnsrError) as caught:
        exchange.read("audio", "fold_1", tmp_path / "a.pth")
    for told in ("1 missing: conv1.bias;", "1 extra: fc9.weight;", "1 misshapen: fc1.weight [8, 1600], not [8, 1664]"):
        assert told in str(caught.value)


def test_a_file_of_another_system_is_refused_in_one_line(tmp_path: Path) -> None:
    torch.save(published.state("audio"), tmp_path / "a.pth")
    said = run("import-checkpoint", "--system", "cfnsr", "--fold", "f", tmp_path / "a.pth", tmp_path / "b.safetensors")
    assert said.exit_code == 1 and len(said.output.splitlines()) == 1
    assert "352 missing" in said.output and "20 extra" in said.output and "348 more" in said.output
    assert not (tmp_path / "b.safetensors").exists()


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        (torch.full((32,), float("nan")), "bn1.weight"),
        (torch.ones(32, dtype=torch.int32), "bn1.weight"),
        (torch.ones(32, dtype=torch.complex64), "bn1.weight"),
        (torch.ones(32).to_sparse(), "bn1.weight"),
    ],
)
def test_weights_that_are_no_numbers_are_refused(tensor: torch.Tensor, told: str, tmp_path: Path) -> None:
    torch.save(published.state("audio") | {"bn1.weight": tensor}, tmp_path / "a.pth")
    with pytest.raises(CfnsrError, match=f"1 not finite, or no plain tensor of numbers: {told}"):
        exchange.read("audio", "fold_1", tmp_path / "a.pth")


def test_a_variance_below_zero_and_a_tensor_named_twice_are_refused(tmp_path: Path) -> None:
    state = published.state("audio")
    torch.save(state | {"bn1.running_var": -torch.ones(32)}, tmp_path / "a.pth")
    with pytest.raises(CfnsrError, match=r"1 not finite.*bn1\.running_var"):
        exchange.read("audio", "fold_1", tmp_path / "a.pth")
    torch.save(state | {"module.bn1.bias": state["bn1.bias"]}, tmp_path / "a.pth")
    with pytest.raises(CfnsrError, match="names a tensor twice"):
        exchange.read("audio", "fold_1", tmp_path / "a.pth")


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_a_damaged_file_is_refused_or_right(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    torch.save({"bn1.bias": torch.zeros(3)}, folder / "a.pth")
    chance, content = random.Random(seed), bytearray((folder / "a.pth").read_bytes())
    for _ in range(chance.randint(1, 8)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    (folder / "a.pth").write_bytes(content[: chance.choice([len(content), chance.randrange(len(content))])])
    with pytest.raises(CfnsrError):
        exchange.read("audio", "fold_1", folder / "a.pth")


def test_exported_twice_the_bytes_are_the_same(tmp_path: Path) -> None:
    made = model(tmp_path)
    for name in ("a.pth", "b.pth"):
        exchange.export(made, tmp_path / name)
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()


@pytest.mark.parametrize("command", ["import-checkpoint", "export-checkpoint"])
def test_a_place_that_cannot_be_written_to_is_told_in_one_line(command: str, tmp_path: Path) -> None:
    torch.save(published.state("audio"), tmp_path / "a.pth")
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    given = ["--system", "audio", "--fold", "f", tmp_path / "a.pth"] if command[0] == "i" else [model(tmp_path)]
    said = run(command, *given, out)
    assert said.exit_code == 1 and f"{out}: cannot be written" in said.output and len(said.output.splitlines()) == 1


class Harmful:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("harmed"),)


@pytest.mark.parametrize("content", ["code", "text", "nothing", "list", "cut"])
def test_what_is_no_state_dict_is_refused_and_its_code_is_not_run(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.pth"
    if content == "code":
        torch.save({"conv1.weight": Harmful()}, path)
    elif content == "list":
        torch.save([torch.zeros(1)], path)
    elif content == "cut":
        torch.save(published.state("audio"), path)
        path.write_bytes(path.read_bytes()[:2000])
    else:
        path.write_bytes(b"weights" if content == "text" else b"")
    with pytest.raises(
        CfnsrError, match=r"a\.pth: (cannot be read as tensors alone \(.*nothing in it was run|holds no state dict)"
    ):
        exchange.read("audio", "fold_1", path)
    assert not Path("harmed").exists()


def test_a_plain_pickle_is_not_run_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.pth").write_bytes(pickle.dumps(Harmful(), protocol=2))
    with pytest.raises(CfnsrError, match="cannot be read as tensors alone"):
        exchange.read("audio", "fold_1", Path("a.pth"))
    assert not Path("harmed").exists()


def model(folder: Path, **changes: Any) -> Path:
    described = exchange.specification("audio", "fold_1", published.GOLDEN)
    described = {**described, **changes}
    checkpoint.save(folder / "model.safetensors", checkpoint.build(described), described)
    return folder / "model.safetensors"


AUDIO = {"coefficients": 13, "steps": 212, "dropout": 0.2, "head_dropout": 0.4}
VIDEO = {"layers": [1, 1, 1, 1], "width": 8, "cardinality": 4, "stem_relu": True}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"encoders": {"audio": {**AUDIO, "steps": 100}}}, r"encoders\.audio\.steps is 100, not 212"),
        ({"labels": ["sad", "glad"]}, r"labels is \['sad', 'glad'\], not"),
        (
            {"name": "averaging", "encoders": {"audio": AUDIO, "video": VIDEO}},
            r"is a model of averaging\. Published are checkpoints of video, audio, cfnsr, msaf",
        ),
        (
            {"pixels": {**exchange.specification("audio", "f", published.GOLDEN)["pixels"], "order": "rgb"}},
            r"pixels\.order is rgb, not bgr",
        ),
        ({"preprocessing": {"extract": {"audio": {"rate_hz": 8000}}}}, r"audio\.rate_hz is 8000, not 44100"),
        ({"name": "video", "encoders": {"video": VIDEO}}, r"encoders\.video\.layers is \[1, 1, 1, 1\]"),
    ],
)
def test_a_model_of_which_nothing_was_published_is_not_exported(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(CfnsrError, match=told):
        exchange.export(model(tmp_path, **changes), tmp_path / "out.pth")
    assert not (tmp_path / "out.pth").exists()


def test_dropout_keeps_no_model_from_being_exported(tmp_path: Path) -> None:
    path = model(tmp_path, encoders={"audio": {**AUDIO, "dropout": 0.7}})
    assert exchange.export(path, tmp_path / "out.pth") == "audio"
