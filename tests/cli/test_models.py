"""``cfnsr models``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cfnsr import cli, config
from cfnsr.cli.models import untrained_spec
from cfnsr.inference.card import NOT_FOR, Card
from cfnsr.models import summary
from tests.support import zoo


def run(root: Path, *arguments: str) -> Result:
    files = ["--params", str(root / "params.yaml"), "--presets", str(root / "presets")]
    return CliRunner(env={"COLUMNS": "200"}).invoke(cli.main, ["models", *arguments, *files])


def test_all_networks_with_what_was_published(root: Path) -> None:
    before = (root / "params.yaml").read_bytes()
    result = run(root, "--preset", "paper_scale")
    assert result.exit_code == 0 and (root / "params.yaml").read_bytes() == before
    for name in summary.names():
        line = next(line for line in result.output.splitlines() if f"│ {name} " in line)
        size = summary.size(zoo.spec(name, paper_scale=True))
        for cell in (f"{size.parameters:,}", f"{size.flops / 1e9:.4g}", f"{size.publication.accuracy:.2f}"):
            assert cell in line
        assert f"arXiv:{size.publication.paper}" in line and size.publication.fusion in line
    assert "One clip of 30 frames of 224x224" in result.output
    assert result.output.count("is a reconstruction") == 3


def test_sizes_are_those_of_params(root: Path) -> None:
    result = run(root)
    assert result.exit_code == 0
    assert "One clip of 8 frames of 64x64" in result.output and "1,429,929" in result.output


def test_shapes_are_those_of_the_shards(root: Path) -> None:
    spec = untrained_spec(config.load(root / "params.yaml"), "cfnsr")
    assert spec.inputs == {"frames": [8, 64, 64, 3], "mel": [128, 212], "mfcc": [13, 212]}


def test_layers_of_one_network(root: Path) -> None:
    result = run(root, "audio", "--depth", "2")
    assert result.exit_code == 0 and "Total params: 34,024" in result.output
    assert "stages" in result.output and "conv1" not in result.output


def test_trained_models_are_listed_with_cards(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "emodb/best"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").touch()
    Card("audio, emodb", "emodb", row="[b]audio[/b]", trained_clips=428).write(folder)
    printed = run(root, "--cards", "--data", str(tmp_path)).output
    assert f"{folder}: [b]audio[/b]" in printed and "trained on emodb: 428 clips" in printed
    assert "voice_emodb: whisper_tiny" in printed and "tested on ravdess_speech: 33.6 % (32.0–35.2)" in printed
    assert printed.count(NOT_FOR) == 2 and "has no best model yet" not in printed and "GFLOPs" not in printed
    whole = run(root, "--data", str(tmp_path / "nothing")).output
    assert "GFLOPs" in whole and "voice_emodb: whisper_tiny" in whole and "nothing has no best model yet" in whole


def test_cards_are_listed_without_torch(root: Path) -> None:
    code = "import sys; from cfnsr.cli import main; main(['models', '--cards'], standalone_mode=False); "
    subprocess.run([sys.executable, "-c", f"{code} sys.exit('torch' in sys.modules)"], cwd=root, check=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ghost"], "ghost: there is no such network. Choose one of: video, audio, averaging"),
        (["--preset", "ghost"], "there is no such preset"),
        (["audio", "--cards"], "--cards: lists trained models, and NAME names a network"),
    ],
)
def test_unknown_names_are_errors_in_one_line(root: Path, arguments: list[str], message: str) -> None:
    result = run(root, *arguments)
    assert result.exit_code == 1 and message in result.output and len(result.output.splitlines()) == 1
