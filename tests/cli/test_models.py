"""Sizes of the networks, and the command that lists them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cfnsr import cli
from cfnsr.models import summary
from tests.support.zoo import OPTIONS

PAPER = {
    "video": {"layers": [3, 4, 6, 3], "width": 64, "cardinality": 32, "stem_relu": True},
    "audio": {"dropout": 0.2, "head_dropout": 0.4},
}
INPUTS = summary.Inputs(frames=30, side_px=224, mels=128, coefficients=13, steps=212)


def size(name: str, inputs: summary.Inputs = INPUTS) -> summary.Size:
    network = summary.build(name, 8, PAPER, OPTIONS.get(name, {}), inputs)
    return summary.size(name, network, inputs)


def test_inputs_are_those_the_shards_will_have() -> None:
    audio = {"window_s": 2.45, "rate_hz": 44100, "hop": 512, "mels": 128, "coefficients": 13}
    assert summary.Inputs.of({"frames": 30, "side_px": 224}, audio) == INPUTS


def test_audio_by_hand() -> None:
    # 212 steps become 210, 208, pooled 26, 26; a multiplication and an addition are two.
    convolutions = 210 * 32 * 13 * 7 + 208 * 32 * 32 * 7 + 26 * 64 * 32 * 5
    assert size("audio").flops == 2 * (convolutions + 1664 * 8)
    assert size("audio").parameters == 34_024


def test_what_cfnsr_adds_by_hand() -> None:
    heads = size("video").flops + size("audio").flops - 2 * 8 * (2048 + 1664)
    attention = 5 * 26 * (4 * 64 * 64 + 2 * 64 * 256 + 2 * 26 * 64)
    cross = 2 * 7 * 7 * (2048 * 64 + 64) + 64 * 64
    assert size("cfnsr").flops == heads + 2 * (attention + cross + 8 * 3712)


def test_a_decision_costs_what_its_parts_do() -> None:
    parts = [size(name) for name in ("video", "audio")]
    for name in ("averaging", "multiplication", "multiplicative"):
        assert size(name).flops == sum(part.flops for part in parts)
        assert size(name).parameters == sum(part.parameters for part in parts)


def run(root: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(
        cli.main, ["models", *arguments, "--params", str(root / "params.yaml"), "--presets", str(root / "presets")]
    )
    return result.exit_code, result.output


def test_all_are_listed_with_what_was_published(root: Path) -> None:
    before = (root / "params.yaml").read_bytes()
    status, told = run(root, "--preset", "paper_scale")
    assert status == 0 and (root / "params.yaml").read_bytes() == before
    for name in summary.names():
        line = next(line for line in told.splitlines() if f"│ {name} " in line)
        counted = size(name)
        assert f"{counted.parameters:,}" in line and f"{counted.publication.accuracy:.2f}" in line
        assert f"arXiv:{counted.publication.paper}" in line and counted.publication.fusion in line
    assert (
        "One clip of 30 frames of 224x224" in told
        and told.count("is a reconstruction") == 3
        and "mult-adds" not in told
    )


def test_sizes_are_those_of_params(root: Path) -> None:
    status, told = run(root)
    assert status == 0 and "One clip of 8 frames of 64x64" in told and "1,429,929" in told


def test_one_networks_layers(root: Path) -> None:
    status, told = run(root, "cfnsr", "--depth", "2", "--preset", "paper_scale")
    assert status == 0 and "Total params: 26,301,417" in told and "mult-adds" not in told
    assert "layer4" in told and "cross_modal" in told and "[1, 2048, 2, 7, 7]" in told


@pytest.mark.parametrize(("arguments", "told"), [(["ghost"], "Name one of: video, audio, averaging"),
                                                 (["--preset", "ghost"], "there is no such preset")])  # fmt: skip
def test_what_is_not_there_is_told_in_one_line(root: Path, arguments: list[str], told: str) -> None:
    status, said = run(root, *arguments)
    assert status == 1 and told in said and len(said.splitlines()) == 1
