"""The systems: what holds for every one, then each by hand-computed numbers."""

from __future__ import annotations

import math
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cfnsr import encoders, fusion
from cfnsr.errors import CfnsrError

CFNSR = import_module("cfnsr.fusion.cfnsr")

# A new system is named here once, and every test that holds for all of them runs on it.
OPTIONS: dict[str, dict[str, object]] = {
    "averaging": {},
    "cfnsr": {
        "residual": True,
        "self_attention": True,
        "cross_modal": True,
        "attention_layers": 5,
        "heads": 8,
        "feed_forward": 256,
        "attention_dropout": 0.1,
        "position_dropout": 0.3,
        "audio_dropout": 0.4,
    },
}
STEPS = 212
Clips = tuple[Tensor, Tensor, Tensor]


def paper_scale(name: str, **options: object) -> nn.Module:
    video = encoders.build("video", 8, layers=[3, 4, 6, 3], width=64, cardinality=32, stem_relu=True)
    audio = encoders.build("audio", 8, coefficients=13, steps=STEPS, dropout=0.2, head_dropout=0.4)
    return fusion.build(name, video, audio, 8, **{**OPTIONS[name], **options})


def small_scale(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    video = encoders.build("video", 8, layers=[1, 1, 1, 1], width=16, cardinality=8, stem_relu=True)
    audio = encoders.build("audio", 8, coefficients=13, steps=STEPS, dropout=0.2, head_dropout=0.4)
    return fusion.build(name, video, audio, 8, **{**OPTIONS[name], **options})


def clips(batch: int, frames: int = 8, size: int = 64) -> Clips:
    chance = torch.Generator().manual_seed(1)
    return (
        torch.randn(batch, 3, frames, size, size, generator=chance),
        torch.zeros(batch, 128, STEPS),
        20 * torch.randn(batch, 13, STEPS, generator=chance),
    )


@pytest.fixture(params=fusion.names())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_prediction_is_a_distribution_for_each_clip(name: str) -> None:
    predicted = small_scale(name)(*clips(2))
    for log_probs in predicted:
        if log_probs is not None:
            torch.testing.assert_close(log_probs.exp().sum(dim=1), torch.ones(2))
    assert predicted.fused.shape == (2, 8)


def test_a_clip_does_not_depend_on_its_batch(name: str) -> None:
    network, batch = small_scale(name).eval(), clips(4)
    with torch.inference_mode():
        alone = torch.cat([network(*(part[row : row + 1] for part in batch)).fused for row in range(4)])
        torch.testing.assert_close(network(*batch).fused, alone, atol=1e-5, rtol=0)


def test_gradients_reach_the_first_layer_of_both_encoders(name: str) -> None:
    network = small_scale(name)
    nn.functional.nll_loss(network(*clips(2)).fused, torch.tensor([0, 5])).backward()
    first = {
        shape[1]: gradient
        for parameter in network.parameters()
        if (gradient := parameter.grad) is not None and (shape := parameter.shape)[2:] in [(7, 7, 7), (7,)]
    }
    assert first[3].abs().max() > 0  # colours
    assert first[13].abs().max() > 0  # coefficients


def test_bfloat16_predicts_in_float32(name: str) -> None:
    network = small_scale(name)
    with torch.autocast("cpu", torch.bfloat16):
        assert network(*clips(2)).fused.dtype == torch.float32


def test_only_systems_with_weights_of_their_own_train(name: str) -> None:
    network = small_scale(name)
    joined = {"video", "audio"}
    own = [weights for weights, _ in network.named_parameters() if weights.partition(".")[0] not in joined]
    assert network.trains == bool(own)
    if not network.trains:
        batch = clips(2)
        predicted = network.eval()(*batch)
        torch.testing.assert_close(network.combine(predicted.video, predicted.audio), predicted.fused)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("averaging", {}, 25_916_080),
        ("cfnsr", {}, 26_301_417),
        ("cfnsr", {"residual": False}, 26_301_417),
        ("cfnsr", {"self_attention": False}, 26_301_417 - 250_048),
        ("cfnsr", {"cross_modal": False}, 25_916_072),
    ],
)
def test_parameters_at_paper_scale(name: str, options: dict[str, bool], expected: int) -> None:
    with torch.device("meta"):
        network = paper_scale(name, **options)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


def test_a_new_system_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "throw_away.py").write_text(
        "from cfnsr.fusion.averaging import Fusion as Averaging\nclass Fusion(Averaging):\n    pass\n"
    )
    monkeypatch.setattr(fusion, "__path__", [*fusion.__path__, str(tmp_path)])
    monkeypatch.setitem(OPTIONS, "throw_away", {})
    assert "throw_away" in fusion.names()
    try:
        assert small_scale("throw_away")(*clips(2)).fused.shape == (2, 8)
    finally:
        sys.modules.pop("cfnsr.fusion.throw_away", None)


def test_an_unknown_system_is_refused_by_name() -> None:
    network = small_scale("averaging")
    with pytest.raises(CfnsrError, match=r"voting: there is no such system.*averaging"):
        fusion.build("voting", network.video, network.audio, 8)


def test_averaging_by_numbers() -> None:
    combine = import_module("cfnsr.fusion.averaging").Fusion.combine
    fused = combine(torch.tensor([[0.9, 0.1, 1e-30]]).log(), torch.tensor([[0.3, 0.7, 1e-30]]).log())
    torch.testing.assert_close(fused, torch.tensor([[math.log(0.6), math.log(0.4), math.log(1e-30)]]))


def test_attention_by_numbers() -> None:
    attention = CFNSR.CrossModalAttention(face=1, voice=1)
    for weights, value in [
        (attention.face.weight, 1.0),
        (attention.face.bias, 0.0),
        (attention.voice.weight, 2.0),
        (attention.score.weight, 2.0),
        (attention.score.bias, 7.0),
    ]:
        nn.init.constant_(weights, value)
    # Cells of 0 and of x, context 0.05: the scores 2 tanh(0.1) and 2 tanh(x + 0.1) are ln 3 apart.
    x = math.atanh(math.log(3) / 2 + math.tanh(0.1)) - 0.1
    face = torch.tensor([[0.0, x], [x, 0.0]]).view(1, 1, 2, 1, 2)
    expected = torch.tensor([[0.25, 0.75], [0.75, 0.25]]).view(1, 2, 1, 2)
    torch.testing.assert_close(attention(face, torch.tensor([[0.05]])), expected)


def test_attention_sums_to_one_in_each_time_step() -> None:
    attention = CFNSR.CrossModalAttention(face=6, voice=4)(10 * torch.randn(3, 6, 2, 5, 4), torch.randn(3, 4))
    assert attention.shape == (3, 2, 5, 4)
    torch.testing.assert_close(attention.sum(dim=(2, 3)), torch.ones(3, 2))


@pytest.mark.parametrize(("residual", "factor"), [(True, 1.25), (False, 0.25)])
def test_even_attention_scales_the_face(residual: bool, factor: float) -> None:
    network, batch = small_scale("cfnsr", residual=residual).eval(), clips(2)
    nn.init.zeros_(network.cross_modal.score.weight)
    face, voice = network.video(batch[0]), network.audio(batch[2])
    assert face.shape[-2:] == (2, 2)  # so that each cell gets a quarter
    logits = network.classifier(torch.cat([factor * face.mean(dim=(2, 3, 4)), voice.flatten(1)], dim=1))
    torch.testing.assert_close(network(*batch).fused, logits.log_softmax(dim=1))


def test_context_is_the_last_token() -> None:
    network = small_scale("cfnsr").eval()
    voice = torch.randn(2, 64, 26)
    context = network.context(voice)
    torch.testing.assert_close(context, network.self_attention(voice.transpose(1, 2))[:, 25])
    for token in (0, 25):
        changed = voice.clone()
        changed[:, :, token] = torch.randn(2, 64)
        assert (network.context(changed) - context).abs().max() > 1e-3


def test_no_token_hears_a_later_one() -> None:
    attention = small_scale("cfnsr").self_attention.eval()
    tokens = torch.randn(2, 26, 64)
    changed = tokens.clone()
    changed[:, 20:] = torch.randn(2, 6, 64)
    before, after = attention(tokens), attention(changed)
    torch.testing.assert_close(after[:, :20], before[:, :20])
    assert ((after - before)[:, 20:].abs().amax(dim=2) > 1e-3).all()


def test_context_without_self_attention_is_the_mean() -> None:
    network, voice = small_scale("cfnsr", self_attention=False).eval(), torch.randn(2, 64, 26)
    torch.testing.assert_close(network.context(voice), voice.mean(dim=2))
    assert network(*clips(2)).fused.isfinite().all()


def test_without_cross_modal_attention_the_features_are_concatenated() -> None:
    network, batch = small_scale("cfnsr", cross_modal=False).eval(), clips(2)
    features = [network.video(batch[0]).mean(dim=(2, 3, 4)), network.audio(batch[2]).flatten(1)]
    expected = network.classifier(torch.cat(features, dim=1)).log_softmax(dim=1)
    torch.testing.assert_close(network(*batch).fused, expected)


def test_positions_by_numbers() -> None:
    table = CFNSR.positions(26, 64)
    assert table.shape == (26, 64)
    slowest = 3 / 10000
    expected = torch.tensor([math.sin(3), math.sin(slowest), math.cos(3), math.cos(slowest)])
    torch.testing.assert_close(table[2, [0, 31, 32, 63]], expected)


def test_attention_layers_start_apart() -> None:
    first, second = small_scale("cfnsr").self_attention.layers[:2]
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_cfnsr_trains_at_paper_scale() -> None:
    network = paper_scale("cfnsr")
    loss = nn.functional.nll_loss(network(*clips(1, frames=30, size=224)).fused, torch.tensor([3]))
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


CHECKED = OPTIONS["cfnsr"]


def test_a_right_section_passes_its_check() -> None:
    fusion.check("cfnsr", CHECKED, training=True)
    fusion.check("averaging", {}, training=False)


@pytest.mark.parametrize(
    ("name", "options", "training", "told"),
    [
        ("ghost", {}, True, "ghost: there is no such system"),
        ("cfnsr", {**CHECKED, "head": 8}, True, r"cfnsr\.options\.head: unknown option"),
        ("cfnsr", {key: value for key, value in CHECKED.items() if key != "heads"}, True, r"options\.heads: missing"),
        ("cfnsr", {**CHECKED, "heads": 8.5}, True, r"cfnsr\.options\.heads: .*integer.*given: 8\.5"),
        ("cfnsr", CHECKED, False, r"cfnsr\.training: missing"),
        ("averaging", {}, True, r"averaging\.training: this system trains nothing"),
    ],
)
def test_a_wrong_section_is_refused_by_its_key(name: str, options: dict, training: bool, told: str) -> None:
    with pytest.raises(CfnsrError, match=told):
        fusion.check(name, options, training)
