"""What holds for every encoder, and the lookup by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cfnsr.errors import CfnsrError
from cfnsr.models import encoders
from cfnsr.models.types import Batch
from tests.support.zoo import SHAPES, SMALLER_ENCODERS, clips, encoder

SEQUENCE = {"name": "sequence", "channels": 16, "dropout": 0.3}
WIDTH = 20  # of a sequence
EVERY = [(modality, name) for modality in ("video", "audio") for name in encoders.names(modality)]


@pytest.fixture(params=EVERY, ids="-".join)
def small(request: pytest.FixtureRequest) -> encoders.Encoder:
    modality, name = request.param
    torch.manual_seed(0)
    if name == SEQUENCE["name"]:
        return encoders.build(modality, classes=8, shape=[12, WIDTH], **SEQUENCE).eval()
    assert SMALLER_ENCODERS[modality]["name"] == name
    return encoder(modality, SMALLER_ENCODERS[modality]).eval()


def inputs(encoder: encoders.Encoder, count: int) -> Tensor:
    if encoder.reads.endswith("_sequence"):
        return torch.randn(count, 12, WIDTH, generator=torch.Generator().manual_seed(0))
    return clips(count)[encoder.reads]


def test_channels_are_those_of_the_stages(small: encoders.Encoder) -> None:
    features, returned = inputs(small, 2), []
    for stage in small.stages:
        features = stage(features)
        returned.append(features.shape[1])
    assert returned == small.channels


def test_head_reads_the_last_stage(small: encoders.Encoder) -> None:
    batch = inputs(small, 2)
    assert small.pooled(batch).shape == (2, small.dim)
    torch.testing.assert_close(small.head(small.stages(batch)), small(batch))
    torch.testing.assert_close(small.head[-1](small.pooled(batch)), small(batch))


def test_segments_are_the_stages_in_parts(small: encoders.Encoder) -> None:
    batch = inputs(small, 2)
    first, second = small.segments(-2, -1)
    assert [*first, *second] == list(small.stages) and len(second) == 1
    torch.testing.assert_close(second(first(batch)), small.stages(batch))


def test_predictions_do_not_depend_on_the_batch(small: encoders.Encoder) -> None:
    batch = inputs(small, 4)
    alone = torch.cat([small(clip[None]) for clip in batch])
    torch.testing.assert_close(small(batch), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("modality", ["video", "audio"])
def test_unimodal_reads_its_modality_alone(modality: str) -> None:
    network = encoders.Unimodal(encoder(modality, SMALLER_ENCODERS[modality]), modality).eval()
    batch = clips(2)
    reads = network.encoder.reads
    predicted = network(Batch({reads: batch[reads]}, batch.label))
    torch.testing.assert_close(predicted.fused.exp(), network.encoder(batch[reads]).softmax(dim=1))
    assert getattr(predicted, modality) is predicted.fused
    assert (predicted.video is None) != (predicted.audio is None)


def test_an_unknown_encoder_is_an_error() -> None:
    message = r"encoders\.audio\.name: there is no audio encoder 'resnext3d'. Choose one of: mfcc_cnn"
    with pytest.raises(CfnsrError, match=message):
        encoders.find("audio", "resnext3d")


VIDEO = {key: value for key, value in SMALLER_ENCODERS["video"].items() if key != "name"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({**VIDEO, "depth": 3}, r"encoders\.video\.options\.depth: unknown option"),
        ({**VIDEO, "width": "wide"}, r"encoders\.video\.options\.width: .*integer.*given: 'wide'"),
        ({key: value for key, value in VIDEO.items() if key != "width"}, r"options\.width: missing"),
    ],
)
def test_wrong_options_are_errors_by_key(options: dict[str, Any], message: str) -> None:
    for refuse in (
        lambda: encoders.check("video", "resnext3d", options),
        lambda: encoders.build("video", "resnext3d", 8, SHAPES["frames"], **options),
    ):
        with pytest.raises(CfnsrError, match=message):
            refuse()
    encoders.check("video", "resnext3d", VIDEO)


@pytest.mark.parametrize("width", [0, -8])
def test_impossible_sizes_are_errors(width: int) -> None:
    with torch.device("meta"), pytest.raises(CfnsrError, match=r"encoders\.video\.options: .*'width'"):
        encoders.build("video", "resnext3d", 8, SHAPES["frames"], **{**VIDEO, "width": width})
