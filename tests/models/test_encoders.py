"""The encoders: sizes as published, every stage within reach, small scale from the same code."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cfnsr.errors import CfnsrError
from cfnsr.models import encoders
from cfnsr.models.encoders.resnext3d import Bottleneck

PAPER = {
    "video": {"layers": [3, 4, 6, 3], "width": 64, "cardinality": 32, "stem_relu": True},
    "audio": {"coefficients": 13, "steps": 212, "dropout": 0.2, "head_dropout": 0.4},
}
SMALL = {
    "video": {"layers": [1, 1, 1, 1], "width": 16, "cardinality": 8, "stem_relu": True},
    "audio": {"coefficients": 5, "steps": 52, "dropout": 0.2, "head_dropout": 0.4},
}
INPUTS = {"video": (3, 8, 64, 64), "audio": (5, 52)}


def small(name: str) -> encoders.Encoder:
    torch.manual_seed(0)
    return encoders.build(name, 8, **SMALL[name])


def inputs(name: str, batch: int) -> Tensor:
    return torch.randn(batch, *INPUTS[name], generator=torch.Generator().manual_seed(1))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(params=encoders.names())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_one_encoder_for_each_modality() -> None:
    assert encoders.names() == ["audio", "video"]


@pytest.mark.parametrize(("name", "expected", "dim"), [("video", 25_882_056, 2048), ("audio", 34_024, 1664)])
def test_sizes_at_paper_scale(name: str, expected: int, dim: int) -> None:
    with torch.device("meta"):
        encoder = encoders.build(name, 8, **PAPER[name])
    assert (count(encoder), encoder.dim) == (expected, dim)


def test_stages_and_channels_at_paper_scale() -> None:
    with torch.device("meta"):
        video, audio = (encoders.build(name, 8, **PAPER[name]) for name in ("video", "audio"))
    assert video.channels == {"stem": 64, "layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}
    assert audio.channels == {"conv1": 32, "conv2": 32, "pool2": 32, "conv3": 64}


def test_video_stage_shapes_at_paper_scale() -> None:
    with torch.device("meta"):
        trunk = encoders.build("video", 8, **PAPER["video"]).trunk
        third = trunk[:4](torch.empty(1, 3, 30, 224, 224))
        assert third.shape == (1, 1024, 4, 14, 14)
        assert trunk[4](third).shape == (1, 2048, 2, 7, 7)


def test_channels_are_those_of_the_stages(name: str) -> None:
    encoder, features = small(name), inputs(name, 2)
    for stage, module in encoder.trunk.named_children():
        features = module(features)
        assert features.shape[1] == encoder.channels[stage]


def test_head_reads_what_the_trunk_gives(name: str) -> None:
    encoder, clips = small(name).eval(), inputs(name, 2)
    assert encoder.pooled(clips).shape == (2, encoder.dim)
    torch.testing.assert_close(encoder.head(encoder.trunk(clips)), encoder(clips))
    torch.testing.assert_close(encoder.head.linear(encoder.pooled(clips)), encoder(clips))


def test_segments_are_the_trunk_cut_after_its_sites() -> None:
    encoder, clips = small("video").eval(), inputs("video", 2)
    first, second = encoder.segments("layer2", "layer4")
    assert [name for name, _ in first.named_children()] == ["stem", "layer1", "layer2"]
    torch.testing.assert_close(second(first(clips)), encoder.trunk(clips))
    with pytest.raises(AssertionError, match="do not end the trunk"):
        encoder.segments("layer2", "layer3")


def test_a_clip_does_not_depend_on_its_batch(name: str) -> None:
    encoder, clips = small(name).eval(), inputs(name, 4)
    alone = torch.cat([encoder(clip[None]) for clip in clips])
    torch.testing.assert_close(encoder(clips), alone, atol=1e-5, rtol=0)


def test_video_takes_any_number_of_frames_of_any_size() -> None:
    assert small("video")(torch.randn(2, 3, 5, 40, 48)).shape == (2, 8)


def test_video_is_the_same_in_channels_last() -> None:
    encoder, clips = small("video").eval(), inputs("video", 2)
    expected = encoder(clips)
    encoder.to(memory_format=torch.channels_last_3d)
    actual = encoder(clips.contiguous(memory_format=torch.channels_last_3d))
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_stem_relu_cuts_what_is_negative() -> None:
    stages = {
        relu: encoders.build("video", 8, **{**SMALL["video"], "stem_relu": relu}).trunk[0].eval()
        for relu in (True, False)
    }
    nn.init.constant_(stages[False].norm.bias, -3)  # else the pool would find something positive everywhere
    stages[True].load_state_dict(stages[False].state_dict())
    plain, cut = (stages[relu](inputs("video", 2)) for relu in (False, True))
    assert plain.min() < 0
    # The pool that follows takes maxima, so cutting before it or after it is the same.
    torch.testing.assert_close(cut, plain.relu())


@pytest.mark.parametrize(("steps", "tokens"), [(12, 1), (211, 25), (212, 26), (220, 27)])
def test_audio_head_is_sized_from_the_steps(steps: int, tokens: int) -> None:
    encoder = encoders.build("audio", 8, **{**PAPER["audio"], "steps": steps})
    assert encoder.dim == 64 * tokens
    assert encoder(torch.randn(2, 13, steps)).shape == (2, 8)


@pytest.mark.parametrize(
    ("name", "wrong"), [("audio", {"steps": 11}), ("video", {"layers": [1, 1, 1]}), ("video", {"layers": [1, 0, 1, 1]})]
)
def test_impossible_sizes_are_refused(name: str, wrong: dict[str, object]) -> None:
    with pytest.raises(CfnsrError, match=f"encoders.{name}"):
        encoders.build(name, 8, **{**PAPER[name], **wrong})


def test_an_unknown_encoder_is_refused_by_name() -> None:
    with pytest.raises(CfnsrError, match=r"'smell'.*audio, video"):
        encoders.build("smell", 8)


def test_unimodal_reads_its_modality_alone(name: str) -> None:
    network = encoders.Unimodal(small(name), name).eval()
    given = {"video": inputs("video", 2), "audio": inputs("audio", 2)}
    predicted = network(given["video"], torch.zeros(2, 4, 52), given["audio"])
    expected = network.encoder(given[name]).softmax(dim=1)
    torch.testing.assert_close(predicted.fused.exp(), expected)
    assert getattr(predicted, name) is predicted.fused
    assert (predicted.video is None) != (predicted.audio is None)


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
@pytest.mark.parametrize("planes", [32, 64, 128, 256])
@pytest.mark.parametrize(("stride", "side"), [(1, 16), (1, 1), (2, 16), (2, 2), (2, 1)])
def test_the_middle_convolution_has_the_gradient_of_fp32_in_half_precision(
    frames: int, planes: int, stride: int, side: int
) -> None:
    """Some of oneDNN's own are wrong: docs/decisions/0006-half-precision.md."""
    torch.manual_seed(0)
    block = Bottleneck(8, planes, stride=stride, cardinality=8)
    block.conv2.to(memory_format=torch.channels_last_3d)
    inner = torch.randn(4, block.conv2.in_channels, frames, side, side).bfloat16().float()
    inner = inner.contiguous(memory_format=torch.channels_last_3d)
    raised = torch.randn_like(block._middle(inner))

    def gradient(half: bool) -> torch.Tensor:
        block.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            made = block._middle(inner.bfloat16() if half else inner)
        (made.float() * raised).sum().backward()
        return block.conv2.weight.grad.clone()

    full, half = gradient(False), [gradient(True) for _ in range(3)]
    assert torch.equal(half[0], half[1]) and torch.equal(half[0], half[2])
    assert (half[0] - full).norm() < 0.03 * full.norm()
