"""What holds for every system, and the lookup by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cfnsr.errors import CfnsrError
from cfnsr.models import encoders, fusion
from cfnsr.models.types import Batch
from tests.support import toys, zoo
from tests.support.zoo import OPTIONS, clips, paper_scale, small_scale

SYSTEMS, VIDEO_ENCODERS = "cfnsr.models.fusion", "cfnsr.models.encoders.video"


@pytest.fixture(params=fusion.names())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_every_system_is_in_the_zoo() -> None:
    assert sorted(OPTIONS) == fusion.names()


def test_predictions_are_distributions(name: str) -> None:
    predicted = small_scale(name)(clips(2))
    for log_probs in predicted:
        if log_probs is not None:
            torch.testing.assert_close(log_probs.exp().sum(dim=1), torch.ones(2))
    assert predicted.fused.shape == (2, 8)


def test_predictions_do_not_depend_on_the_batch(name: str) -> None:
    network, batch = small_scale(name).eval(), clips(4)
    with torch.inference_mode():
        alone = torch.cat([network(rows(batch, index)).fused for index in range(4)])
        torch.testing.assert_close(network(batch).fused, alone, atol=1e-5, rtol=0)
        assert (alone[0] - alone[1]).abs().max() > 1e-3


def rows(batch: Batch, index: int) -> Batch:
    arrays = {name: array[index : index + 1] for name, array in batch.arrays.items()}
    return Batch(arrays, batch.label[index : index + 1])


def loss_of(network: nn.Module, batch: Batch, label: Tensor) -> Tensor:
    predicted = network(batch)
    return nn.functional.nll_loss(network.scores(predicted) if hasattr(network, "scores") else predicted.fused, label)


def test_gradients_reach_all_weights_and_inputs(name: str) -> None:
    network, batch = small_scale(name), clips(2)
    for array in batch.arrays.values():
        array.requires_grad_()
    loss_of(network, batch, torch.tensor([0, 5])).backward()
    gradients = {key: array.grad for key, array in batch.arrays.items() if array.grad is not None}
    assert set(gradients) == ({"mel"} if name == "eranns" else {"frames", "mfcc"})
    assert set(network.modality_modules) == ({"audio"} if name == "eranns" else {"video", "audio"})
    for weights, value in network.named_parameters():
        assert value.grad is not None and value.grad.isfinite().all(), weights
    for gradient in gradients.values():
        assert gradient.abs().sum(dim=tuple(range(1, gradient.ndim))).min() > 0


def test_bfloat16_predicts_what_float32_does(name: str) -> None:
    network, batch = small_scale(name).eval(), clips(2)
    with torch.inference_mode():
        exact = network(batch).fused
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(batch).fused
    assert rough.dtype == torch.float32 and not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, atol=0.05, rtol=0.02)


def test_a_bfloat16_training_step_is_finite(name: str) -> None:
    network = small_scale(name).train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(network, clips(4), torch.tensor([0, 5, 2, 7]))
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite()
    for weights, value in network.named_parameters():
        assert value.grad is not None and value.grad.isfinite().all(), weights


def test_only_systems_that_can_train_do(name: str) -> None:
    network = small_scale(name)
    own = [weights for weights, _ in network.named_parameters() if weights.partition(".")[0] not in ("video", "audio")]
    assert network.trains == fusion.trains(name) == bool(own or hasattr(network, "scores"))


@pytest.mark.parametrize("name", ["averaging", "multiplication", "multiplicative"])
def test_late_fusion_combines_the_encoders_predictions(name: str) -> None:
    network, batch = small_scale(name).eval(), clips(2)
    predicted = network(batch)
    torch.testing.assert_close(network.combine(predicted.video, predicted.audio), predicted.fused)
    torch.testing.assert_close(predicted.video, network.video(batch["frames"]).log_softmax(dim=1))
    torch.testing.assert_close(predicted.audio, network.audio(batch["mfcc"]).log_softmax(dim=1))


def test_systems_export(name: str) -> None:
    network, batch = small_scale(name).eval(), clips(2)
    exported = torch.export.export(network, (batch,))
    with torch.inference_mode():
        torch.testing.assert_close(exported.module()(batch).fused, network(batch).fused)


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
def test_parameter_counts_at_paper_scale(name: str, options: dict[str, bool], expected: int) -> None:
    with torch.device("meta"):
        network = paper_scale(name, **options)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected
    if not options and network.publication.parameters is not None:
        assert expected / 1e6 == pytest.approx(network.publication.parameters, rel=0.01)


@pytest.fixture
def toy_video(tmp_path: Path) -> Any:
    with toys.added(VIDEO_ENCODERS, "toy_video", toys.VIDEO_ENCODER, tmp_path):
        yield zoo.encoder("video", {"name": "toy_video", "width": 4})


def test_a_new_encoder_fits_every_system(name: str, toy_video: encoders.Encoder) -> None:
    audio = zoo.encoder("audio", zoo.ENCODERS["audio"])
    network = fusion.build(name, toy_video, audio, 8, **{**OPTIONS[name], **zoo.SMALLER.get(name, {})})
    loss_of(network, clips(3), torch.tensor([0, 5, 7])).backward()
    reached = [value.grad is not None for value in network.parameters()]
    assert all(reached) and network(clips(3)).fused.shape == (3, 8)


def test_too_few_stages_are_an_error(toy_video: encoders.Encoder) -> None:
    toy_video.channels = toy_video.channels[1:]
    audio = zoo.encoder("audio", zoo.ENCODERS["audio"])
    with pytest.raises(CfnsrError, match=r"encoders\.video: has 2 stages, and the system joins the last 3"):
        fusion.build("mmtm", toy_video, audio, 8, **OPTIONS["mmtm"])


def test_a_new_system_may_read_new_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPTIONS, "energy", {"width": 3})
    with toys.added(SYSTEMS, "energy", toys.ENERGY_SYSTEM, tmp_path):
        assert "energy" in fusion.names() and fusion.trains("energy")
        fusion.check("energy", {"width": 3}, training=True)
        batch = Batch({"energy": torch.rand(2, 50)}, torch.tensor([1, 2]))
        assert small_scale("energy")(batch).fused.shape == (2, 8)


@pytest.mark.parametrize("missing", ["publication", "trains", "modality_modules"])
def test_incomplete_systems_are_errors(missing: str, tmp_path: Path) -> None:
    lines = [line for line in toys.ENERGY_SYSTEM.splitlines() if not line.strip().startswith(missing)]
    with (
        toys.added(SYSTEMS, "incomplete", "\n".join(lines), tmp_path),
        pytest.raises(CfnsrError, match=f"Fusion has no {missing}"),
    ):
        fusion.check("incomplete", {"width": 3}, training=True)


UNJOINED = """
from cfnsr.models.layers import LateFusion
from cfnsr.models.publication import Publication

class Fusion(LateFusion):
    publication = Publication(fusion="decision")
    trains = False
"""


def test_late_fusion_without_combine_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPTIONS, "unjoined", {})
    with (
        toys.added(SYSTEMS, "unjoined", UNJOINED, tmp_path),
        pytest.raises(CfnsrError, match=r"systems\.unjoined\.options: .*abstract method '?combine"),
    ):
        small_scale("unjoined")


def test_sizes_of_zero_are_errors() -> None:
    with torch.device("meta"), pytest.raises(CfnsrError, match=r"systems\.concat\.options: .*(empty|no-op)"):
        small_scale("concat", hidden=0)


OPTIONS_OF_CFNSR = OPTIONS["cfnsr"]


def test_correct_sections_pass_the_check() -> None:
    fusion.check("cfnsr", OPTIONS_OF_CFNSR, training=True)
    fusion.check("averaging", {}, training=False)


@pytest.mark.parametrize(
    ("name", "options", "training", "message"),
    [
        ("ghost", {}, True, r"systems\.ghost: there is no system 'ghost'. Choose one of: averaging"),
        ("cfnsr", {**OPTIONS_OF_CFNSR, "head": 8}, True, r"cfnsr\.options\.head: unknown option"),
        ("concat", {"hidden": 8}, True, r"systems\.concat\.options\.dropout: missing"),
        ("cfnsr", {**OPTIONS_OF_CFNSR, "heads": 8.5}, True, r"cfnsr\.options\.heads: .*integer.*given: 8\.5"),
        ("cfnsr", OPTIONS_OF_CFNSR, False, r"cfnsr\.training: missing"),
        ("averaging", {}, True, r"averaging\.training: this system trains nothing"),
    ],
)
def test_wrong_sections_are_errors_by_key(name: str, options: dict[str, Any], training: bool, message: str) -> None:
    with pytest.raises(CfnsrError, match=message):
        fusion.check(name, options, training)
