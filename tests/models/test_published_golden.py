"""Our networks against the published ones: same weights through the importer, same clip, same log-probabilities."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cfnsr.models import published as exchange
from cfnsr.models.types import Batch
from tests.support import published

TOLERANCE = 0.002
CFNSR = importlib.import_module("cfnsr.models.fusion.cfnsr")
Import = Callable[[str], nn.Module]


@pytest.fixture(scope="module")
def clip() -> Batch:
    with torch.inference_mode(mode=False):  # whichever test asks first
        return published.clip()


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Import:
    """Import a published network, each once."""

    @cache
    def read(name: str) -> nn.Module:
        path: Path = tmp_path_factory.mktemp(name) / "published.pth"
        torch.save(published.state(name), path)
        network, _ = exchange.read(name, "fold_1", path)
        return network

    return read


@pytest.mark.parametrize("name", exchange.SYSTEMS)
def test_log_probabilities_are_the_published_ones(name: str, imported: Import, clip: Batch) -> None:
    network = imported(name)
    assert sum(value.numel() for value in network.parameters()) == published.system(name)["parameters"]
    with torch.inference_mode():
        assert published.difference(network(clip).fused, name) < TOLERANCE


@pytest.mark.parametrize("name", ["video", "cfnsr", "msaf"])
def test_the_other_stem_differs(name: str, imported: Import, clip: Batch) -> None:
    spec = exchange.spec(name, "fold_1", published.GOLDEN)
    video = spec.encoders["video"]
    other = replace(spec, encoders={**spec.encoders, "video": {**video, "stem_relu": not video["stem_relu"]}}).build()
    other.load_state_dict(imported(name).state_dict())
    with torch.inference_mode():
        assert published.difference(other.eval()(clip).fused, name) > TOLERANCE


@pytest.fixture
def cfnsr(imported: Import) -> nn.Module:
    return imported("cfnsr")


@pytest.fixture(scope="module")
def video(imported: Import, clip: Batch) -> Tensor:
    """The last stage's output of CFN-SR's video encoder, which takes most of the time."""
    with torch.inference_mode():
        return imported("cfnsr").video(clip["frames"])


@pytest.fixture
def difference(cfnsr: nn.Module, video: Tensor, clip: Batch, monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """Measure how far CFN-SR is from the published log-probabilities."""
    monkeypatch.setattr(cfnsr.video, "forward", lambda frames: video)

    def measure() -> float:
        with torch.inference_mode():
            return published.difference(cfnsr(clip).fused, "cfnsr")

    return measure


def test_cfnsr_while_gradients_are_recorded(
    cfnsr: nn.Module, video: Tensor, clip: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    # torch computes its Transformer layers in another way then.
    monkeypatch.setattr(cfnsr.video, "forward", lambda frames: video.clone())
    assert published.difference(cfnsr(clip).fused.detach(), "cfnsr") < TOLERANCE


def test_cfnsr_without_the_causal_mask_differs(
    difference: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CFNSR, "causal_mask", lambda count: torch.zeros(count, count, dtype=torch.bool))
    assert difference() > TOLERANCE


def test_cfnsr_with_positions_from_zero_differs(
    difference: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    from_one = CFNSR.positions
    # Position 0 has sines of 0 and cosines of 1.
    zero = torch.cat([torch.zeros(1, 32), torch.ones(1, 32)], dim=1)
    monkeypatch.setattr(CFNSR, "positions", lambda count, width: torch.cat([zero, from_one(count - 1, width)]))
    assert difference() > TOLERANCE


@pytest.mark.parametrize("name", ["residual", "self_attention"])
def test_cfnsr_without_one_part_differs(
    name: str, difference: Callable[[], float], cfnsr: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert difference() < TOLERANCE
    monkeypatch.setattr(cfnsr, name, None)
    assert difference() > TOLERANCE


def test_msaf_with_scores_in_another_order_differs(
    imported: Import, clip: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = imported("msaf")
    weight = network.sites[0].scores.weight
    monkeypatch.setattr(weight, "data", weight.data.roll(16 * 2, dims=0))  # as if audio's two blocks came first
    with torch.inference_mode():
        assert published.difference(network(clip).fused, "msaf") > TOLERANCE
