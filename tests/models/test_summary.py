"""Parameters and operations, by hand-computed numbers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from cfnsr.errors import CfnsrError
from cfnsr.models import summary
from tests.support import zoo


@cache
def size(name: str) -> summary.Size:
    return summary.size(zoo.spec(name, paper_scale=True))


def test_audio_by_hand() -> None:
    # 212 steps become 210, 208, pooled 26, 26; a multiplication and an addition count as two.
    convolutions = 210 * 32 * 13 * 7 + 208 * 32 * 32 * 7 + 26 * 64 * 32 * 5
    assert size("audio").flops == 2 * (convolutions + 1664 * 8)
    assert size("audio").parameters == 34_024


def test_cfnsr_by_hand() -> None:
    encoders = size("video").flops + size("audio").flops - 2 * 8 * (2048 + 1664)
    attention = 5 * 26 * (4 * 64 * 64 + 2 * 64 * 256 + 2 * 26 * 64)
    cross = 2 * 7 * 7 * (2048 * 64 + 64) + 64 * 64
    assert size("cfnsr").flops == encoders + 2 * (attention + cross + 8 * 3712)


def test_late_fusion_costs_as_much_as_its_encoders() -> None:
    parts = [size(name) for name in ("video", "audio")]
    for name in ("averaging", "multiplication", "multiplicative"):
        assert size(name).flops == sum(part.flops for part in parts)
        assert size(name).parameters == sum(part.parameters for part in parts)


def test_layers_show_names_shapes_and_parameters() -> None:
    table = summary.layers(zoo.spec("cfnsr", paper_scale=True), depth=2)
    assert "Total params: 26,301,417" in table and "mult-adds" not in table
    assert "layer4" in table and "cross_modal" in table and "[1, 2048, 2, 7, 7]" in table
    assert "conv1" in table and "MaxPool" not in table  # the third level


def test_a_network_that_no_gpu_holds_is_refused() -> None:
    spec = zoo.spec("mcbp", paper_scale=True)
    huge = replace(spec, options={**spec.options, "dimension": 2**20, "hidden": 2**20})
    with pytest.raises(CfnsrError, match=r"mcbp: its network has more than 10,000,000,000 parameters"):
        summary.build(huge)
    summary.build(spec)
