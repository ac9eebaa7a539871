"""The systems: what holds for every one of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from cfnsr.errors import CfnsrError
from cfnsr.models import checkpoint, fusion
from tests.support import zoo
from tests.support.zoo import OPTIONS, clips, paper_scale, small_scale


@pytest.fixture(params=fusion.names())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_every_system_has_options_here() -> None:
    assert sorted(OPTIONS) == fusion.names()


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
        assert (alone[0] - alone[1]).abs().max() > 1e-3


def loss_of(network: nn.Module, batch: zoo.Clips, label: torch.Tensor) -> torch.Tensor:
    predicted = network(*batch)
    return nn.functional.nll_loss(network.scores(predicted) if hasattr(network, "scores") else predicted.fused, label)


def test_gradients_reach_every_weight_and_the_inputs_it_reads(name: str) -> None:
    network = small_scale(name)
    frames, mel, mfcc = (part.requires_grad_() for part in clips(2))
    loss_of(network, (frames, mel, mfcc), torch.tensor([0, 5])).backward()
    read = {key for key, given in (("video", frames), ("mel", mel), ("mfcc", mfcc)) if given.grad is not None}
    assert read == ({"mel"} if name == "eranns" else {"video", "mfcc"})
    assert set(network.modality_modules) == ({"audio"} if name == "eranns" else {"video", "audio"})
    for weights, value in network.named_parameters():
        assert value.grad is not None and value.grad.isfinite().all(), weights
    for given in (frames, mel, mfcc):
        assert given.grad is None or given.grad.abs().sum(dim=tuple(range(1, given.ndim))).min() > 0


def test_bfloat16_predicts_in_float32_what_float32_does(name: str) -> None:
    network, batch = small_scale(name).eval(), clips(2)
    with torch.inference_mode():
        exact = network(*batch).fused
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(*batch).fused
    assert rough.dtype == torch.float32 and not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, atol=0.05, rtol=0.02)


def test_a_step_of_training_in_bfloat16_is_finite(name: str) -> None:
    network, batch = small_scale(name).train(), clips(4)
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(network, batch, torch.tensor([0, 5, 2, 7]))
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite()
    for weights, value in network.named_parameters():
        assert value.grad is not None and value.grad.isfinite().all(), weights


def test_only_systems_with_weights_or_evidence_of_their_own_train(name: str) -> None:
    network = small_scale(name)
    joined = {"video", "audio"}
    own = [weights for weights, _ in network.named_parameters() if weights.partition(".")[0] not in joined]
    assert network.trains == bool(own or hasattr(network, "scores"))


@pytest.mark.parametrize("name", ["averaging", "multiplication", "multiplicative"])
def test_systems_that_join_two_predictions_combine_them(name: str) -> None:
    network, batch = small_scale(name).eval(), clips(2)
    predicted = network(*batch)
    torch.testing.assert_close(network.combine(predicted.video, predicted.audio), predicted.fused)
    torch.testing.assert_close(predicted.video, network.video(batch[0]).log_softmax(dim=1))
    torch.testing.assert_close(predicted.audio, network.audio(batch[2]).log_softmax(dim=1))


def test_what_is_saved_and_loaded_predicts_the_same(name: str, tmp_path: Path) -> None:
    described = {
        "name": name,
        "labels": [str(number) for number in range(8)],
        "encoders": {
            "video": {"layers": [1, 1, 1, 1], "width": 16, "cardinality": 8, "stem_relu": True},
            "audio": {"coefficients": 13, "steps": zoo.STEPS, "dropout": 0.2, "head_dropout": 0.4},
        },
        "options": {**OPTIONS[name], **zoo.SMALLER.get(name, {})},
        "fold": "fold_1",
        "pixels": {"order": "rgb"},
        "preprocessing": {},
        "imported": [],
    }
    network, batch = checkpoint.build(described).train(), clips(2)
    network(*batch)  # so that normalisation has seen something
    checkpoint.save(tmp_path / "model.safetensors", network, described)
    again = checkpoint.load(tmp_path / "model.safetensors")
    assert not again.training
    with torch.inference_mode():
        assert torch.equal(again(*batch).fused, network.eval()(*batch).fused)


def test_it_exports(name: str) -> None:
    network, batch = small_scale(name).eval(), clips(2)
    exported = torch.export.export(network, batch)
    with torch.inference_mode():
        torch.testing.assert_close(exported.module()(*batch).fused, network(*batch).fused)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("averaging", {}, 25_916_080),
        ("multiplication", {}, 25_916_080),
        ("multiplicative", {}, 25_916_080),
        ("concat", {}, 26_838_952),
        ("mcbp", {}, 50_988_488),
        ("mmtm", {}, 31_793_264),
        ("msaf", {}, 25_940_724),
        ("eranns", {}, 24_021_322),
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
    if not options and network.publication.parameters is not None:
        assert expected / 1e6 == pytest.approx(network.publication.parameters, rel=0.01)


def test_a_new_system_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "throw_away.py").write_text(
        "from cfnsr.models.fusion.averaging import Fusion as Averaging\nclass Fusion(Averaging):\n    pass\n"
    )
    monkeypatch.setattr(fusion, "__path__", [*fusion.__path__, str(tmp_path)])
    monkeypatch.setitem(OPTIONS, "throw_away", {})
    assert "throw_away" in fusion.names()
    try:
        assert small_scale("throw_away")(*clips(2)).fused.shape == (2, 8)
    finally:
        sys.modules.pop("cfnsr.models.fusion.throw_away", None)


def test_sizes_that_leave_nothing_are_refused() -> None:
    with torch.device("meta"), pytest.raises(CfnsrError, match=r"systems\.concat\.options: .*(leave nothing|no-op)"):
        small_scale("concat", hidden=0)


@pytest.mark.parametrize("lost", ["publication", "trains", "features"])
def test_a_new_system_that_does_not_say_what_it_is_is_refused(
    lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"publication": "Publication('none')", "trains": "True", "features": "{}"}
    lines = [f"    {name} = {value}\n" for name, value in body.items() if name != lost]
    (tmp_path / "lost.py").write_text(
        "from cfnsr.models.publication import Publication\nclass Fusion:\n" + "".join(lines)
    )
    monkeypatch.setattr(fusion, "__path__", [*fusion.__path__, str(tmp_path)])
    try:
        with pytest.raises(CfnsrError, match=f"Fusion has no {lost}"):
            fusion.check("lost", {}, training=True)
    finally:
        sys.modules.pop("cfnsr.models.fusion.lost", None)


def test_an_unknown_system_is_refused_by_name() -> None:
    network = small_scale("averaging")
    with pytest.raises(CfnsrError, match=r"voting: there is no such system.*averaging"):
        fusion.build("voting", network.video, network.audio, 8)


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
