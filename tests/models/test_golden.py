"""Our networks against the published ones: same weights by way of the importer, same clip, same log-probabilities."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cfnsr.models import checkpoint
from cfnsr.models import published as exchange
from tests.support import published

TOLERANCE = 0.002
CFNSR = importlib.import_module("cfnsr.models.fusion.cfnsr")


def imported(name: str, folder: Path) -> nn.Module:
    torch.save(published.state(name), folder / "published.pth")
    network, _ = exchange.read(name, "fold_1", folder / "published.pth")
    return network


def with_stem_relu(network: nn.Module, name: str, *, relu: bool) -> nn.Module:
    """The same weights where the stem cuts what is negative, or does not."""
    described = exchange.spec(name, "fold_1", published.GOLDEN)
    described["encoders"]["video"]["stem_relu"] = relu
    other = checkpoint.build(described)
    other.load_state_dict(network.state_dict())
    return other.eval()


@pytest.fixture(scope="module")
def clip() -> tuple[Tensor, Tensor, Tensor]:
    return published.clip()


@pytest.mark.parametrize("name", exchange.SYSTEMS)
def test_the_published_log_probabilities(name: str, clip: tuple[Tensor, Tensor, Tensor], tmp_path: Path) -> None:
    network = imported(name, tmp_path)
    assert sum(value.numel() for value in network.parameters()) == published.system(name)["parameters"]
    with torch.inference_mode():
        assert published.difference(network(*clip).fused, name) < TOLERANCE
        if name != "audio":
            wrong = with_stem_relu(network, name, relu=name != "video")
            assert published.difference(wrong(*clip).fused, name) > TOLERANCE


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    return imported("cfnsr", tmp_path_factory.mktemp("cfnsr"))


@pytest.fixture(scope="module")
def face(network: nn.Module, clip: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    with torch.inference_mode():
        return network.video(clip[0])


@pytest.fixture
def fused(network: nn.Module, face: Tensor, clip: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch):
    """The published CFN-SR on the clip, its video trunk run once for all tests."""
    monkeypatch.setattr(network.video, "forward", lambda frames: face)

    def run() -> float:
        with torch.inference_mode():
            return published.difference(network(*clip).fused, "cfnsr")

    return run


def test_cfnsr_while_gradients_are_recorded(
    network: nn.Module, face: Tensor, clip: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    # torch takes another path through its Transformer layers then.
    monkeypatch.setattr(network.video, "forward", lambda frames: face.clone())
    assert published.difference(network(*clip).fused.detach(), "cfnsr") < TOLERANCE


def test_cfnsr_without_the_causal_mask_differs(fused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CFNSR, "future", lambda count: torch.zeros(count, count, dtype=torch.bool))
    assert fused() > TOLERANCE


def test_cfnsr_with_positions_counted_from_zero_differs(fused, monkeypatch: pytest.MonkeyPatch) -> None:
    from_one = CFNSR.positions
    # Position 0 has sines of 0 and cosines of 1.
    zero = torch.cat([torch.zeros(1, 32), torch.ones(1, 32)], dim=1)
    monkeypatch.setattr(CFNSR, "positions", lambda count, width: torch.cat([zero, from_one(count - 1, width)]))
    assert fused() > TOLERANCE


@pytest.mark.parametrize("name", ["residual", "self_attention"])
def test_cfnsr_without_one_of_its_parts_differs(
    name: str, fused, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fused() < TOLERANCE
    monkeypatch.setattr(network, name, None)
    assert fused() > TOLERANCE


def test_msaf_with_its_scores_in_another_order_differs(clip: tuple[Tensor, Tensor, Tensor], tmp_path: Path) -> None:
    network = imported("msaf", tmp_path)
    scores = network.between[0].scores
    scores.weight.data = scores.weight.data.roll(16 * 2, dims=0)  # as if the voice's two blocks came first
    with torch.inference_mode():
        assert published.difference(network(*clip).fused, "msaf") > TOLERANCE
