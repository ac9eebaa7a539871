"""The face, or the voice, taken away: nothing of it may get through."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from cfnsr.corpora.filenames import LABELS
from cfnsr.data import dataset
from cfnsr.evaluation import missing_modality, predict
from cfnsr.models import encoders, fusion
from cfnsr.models.types import Batch
from tests.support import corpus
from tests.support.zoo import clips, small_scale

BOTH = [name for name in fusion.names() if name != "eranns"]
PREPARE = predict.Normalise([110.0] * 3, [40.0] * 3, "rgb", torch.device("cpu"))


class Already(predict.Normalise):
    """Takes batches whose frames are normalised."""

    def __call__(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        return tuple(batch)  # pyright: ignore


def batches(count: int, cut: int) -> list[Batch]:
    frames, mel, mfcc = clips(count)
    rows = [slice(start, start + cut) for start in range(0, count, cut)]
    return [Batch(frames[row], mel[row], mfcc[row], torch.zeros(len(mel[row]), dtype=torch.int64)) for row in rows]


def instead(network: nn.Module, cut: int = 3) -> missing_modality.StandIns:
    return missing_modality.stand_ins(network, batches(6, cut), Already([], [], "rgb", torch.device("cpu")))  # pyright: ignore


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("modality", ["video", "audio"])
def test_nothing_of_what_is_taken_away_gets_through(name: str, modality: str) -> None:
    network, (frames, mel, mfcc) = small_scale(name).eval(), clips(2)
    assert sorted(missing_modality.removable(network)) == ["audio", "video"]
    stand_ins = instead(network)
    other = (-frames, mel, mfcc) if modality == "video" else (frames, mel, -mfcc)
    kept = (frames, mel, -mfcc) if modality == "video" else (-frames, mel, mfcc)
    before = network(frames, mel, mfcc).fused
    with torch.inference_mode(), missing_modality.without(network, modality, stand_ins):
        predicted = network(frames, mel, mfcc).fused
        assert torch.equal(network(*other).fused, predicted)
        assert (network(*kept).fused - predicted).abs().max() > 1e-5
    assert (predicted - before).abs().max() > 1e-5
    assert torch.equal(network(frames, mel, mfcc).fused, before), "it sees again afterwards"


@pytest.mark.parametrize("name", ["averaging", "multiplication", "multiplicative"])
def test_a_joined_prediction_is_uniform_where_it_is_absent(name: str) -> None:
    network, batch = small_scale(name).eval(), clips(2)
    with torch.inference_mode():
        alone = network(*batch).audio
        with missing_modality.without(network, "video", instead(network)):
            predicted = network(*batch)
    uniform = torch.full_like(alone, -math.log(8))
    torch.testing.assert_close(predicted.video, uniform)
    torch.testing.assert_close(predicted.fused, network.combine(uniform, alone))


@pytest.mark.parametrize("name", ["concat", "mmtm"])
def test_the_stand_in_is_the_mean_whatever_the_batches(name: str) -> None:
    network = small_scale(name)
    network.train()
    in_threes, in_ones = instead(network, 3), instead(network, 1)
    assert network.training and set(in_threes) == {one for names in network.modality_modules.values() for one in names}
    for module, mean in in_threes.items():
        torch.testing.assert_close(mean, in_ones[module], atol=1e-5, rtol=1e-5)
    network.eval()
    first = network.modality_modules["video"][0]
    with torch.inference_mode():
        expected = network.get_submodule(first)(clips(6)[0]).mean(dim=0)
    torch.testing.assert_close(in_threes[first], expected, atol=1e-5, rtol=1e-5)


def test_measuring_the_means_leaves_normalisation_alone() -> None:
    network = small_scale("concat").train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    instead(network)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_who_reads_one_modality_has_none_to_spare(tmp_path: Path) -> None:
    assert missing_modality.removable(small_scale("eranns")) == []
    encoder = encoders.build("audio", 8, coefficients=13, steps=36, dropout=0.2, head_dropout=0.4)
    assert missing_modality.removable(encoders.Unimodal(encoder, "audio")) == []


def test_the_means_come_from_real_shards(tmp_path: Path) -> None:
    folder = corpus.write(tmp_path / "shards", clips=4)
    fold = dataset.in_order(dataset.Clips(folder, ["03", "04"], list(LABELS)), 3)
    video = encoders.build("video", 8, layers=[1, 1, 1, 1], width=4, cardinality=2, stem_relu=True)
    audio = encoders.build("audio", 8, coefficients=13, steps=36, dropout=0.2, head_dropout=0.4)
    network = fusion.build("concat", video, audio, 8, hidden=4, dropout=0.1)
    means = missing_modality.stand_ins(network, fold, PREPARE)
    assert means["video"].shape == (128,) and means["audio"].shape == (256,)
