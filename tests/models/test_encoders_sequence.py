"""The encoders of frozen encoders' sequences, and the systems on them."""

from __future__ import annotations

import pytest
import torch

from cfnsr.models import encoders, fusion
from cfnsr.models.encoders import Encoder
from cfnsr.models.encoders.sequences import AttentionPooling
from cfnsr.models.types import Batch
from tests.support.zoo import OPTIONS

STEPS, WIDTHS = 12, {"video": 35, "audio": 20}


def encoder(modality: str, channels: int = 16) -> Encoder:
    return encoders.build(modality, "sequence", 8, [STEPS, WIDTHS[modality]], channels=channels, dropout=0.3)


def batch(clips: int = 4) -> Batch:
    arrays = {f"{modality}_sequence": torch.randn(clips, STEPS, width) for modality, width in WIDTHS.items()}
    return Batch(arrays, torch.arange(clips))


@pytest.mark.parametrize(("modality", "positions"), [("video", (1, STEPS, 1)), ("audio", (STEPS,))])
def test_stages_keep_a_position_a_moment(modality: str, positions: tuple[int, ...]) -> None:
    network, inputs = encoder(modality), batch()[f"{modality}_sequence"]
    assert network(inputs).shape == (4, 8)
    assert network.stages(inputs).shape == (4, network.channels[-1], *positions)
    assert network.pooled(inputs).shape == (4, network.dim)


def test_order_of_moments_matters() -> None:
    network, inputs = encoder("audio").eval(), batch()["audio_sequence"]
    assert not torch.allclose(network(inputs), network(inputs.flip(1)), atol=1e-4)


def test_inputs_are_standardised_by_training_batches() -> None:
    network, inputs = encoder("audio"), 5 + 3 * batch(64)["audio_sequence"]
    for _ in range(60):
        network(inputs)
    standardise = network.stages[0].standardise
    assert torch.allclose(standardise.running_mean, inputs.mean(dim=(0, 1)), atol=0.05)
    assert "stages.conv1.standardise.running_mean" in network.state_dict()
    before = standardise.running_mean.clone()
    network.eval()(inputs + 100)
    assert torch.equal(standardise.running_mean, before)


def test_pooling_averages_by_learned_scores() -> None:
    pooling, features = AttentionPooling(3), torch.randn(2, 3, 5)
    torch.nn.init.zeros_(pooling.score.weight)
    assert torch.allclose(pooling(features), features.mean(dim=2))
    pooling.score.weight.data[0, 0] = 1000.0
    strongest = features[:, 0].argmax(dim=1)
    assert torch.allclose(pooling(features)[0], features[0, :, strongest[0]])


@pytest.mark.parametrize("system", ["averaging", "multiplicative", "concat", "mcbp", "mmtm", "msaf", "cfnsr"])
def test_systems_read_sequences(system: str) -> None:
    network = fusion.build(system, encoder("video"), encoder("audio"), 8, **OPTIONS[system])
    prediction = network(batch())
    assert prediction.fused.shape == (4, 8)
    prediction.fused.sum().backward()


def test_attention_chooses_moments() -> None:
    network = fusion.build("cfnsr", encoder("video"), encoder("audio"), 8, **OPTIONS["cfnsr"]).eval()
    attention = network.attention(batch())
    assert attention.shape == (4, 1, STEPS, 1)
    assert torch.allclose(attention.sum(dim=(1, 2, 3)), torch.ones(4))
