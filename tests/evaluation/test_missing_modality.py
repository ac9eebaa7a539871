"""No information of a removed modality may reach the prediction."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from cfnsr.data.dataset import Clips, FoldDatasets
from cfnsr.data.manifest import Manifest
from cfnsr.evaluation import missing_modality
from cfnsr.evaluation.missing_modality import replace_modality
from cfnsr.evaluation.module_features import describe
from cfnsr.evaluation.predict import Predictor
from cfnsr.evaluation.reference import MeanFeatures
from cfnsr.models import fusion
from cfnsr.models.types import Batch
from tests.support import corpus, networks
from tests.support.zoo import clips, small_scale

BIMODAL = [name for name in fusion.names() if name != "eranns"]
INPUT = {"video": "frames", "audio": "mfcc"}
TRIAL = corpus.trial("fold_1")


def means_of(network: nn.Module, batch_size: int = 3) -> MeanFeatures:
    whole = clips(6)
    parts = [
        Batch(
            {name: array[start : start + batch_size] for name, array in whole.arrays.items()},
            whole.label[start : start + batch_size],
        )
        for start in range(0, 6, batch_size)
    ]
    return describe(network, parts).means


@pytest.mark.parametrize("name", BIMODAL)
@pytest.mark.parametrize(("missing", "other"), [("video", "audio"), ("audio", "video")])
def test_a_removed_modality_does_not_reach_the_prediction(name: str, missing: str, other: str) -> None:
    network, batch = small_scale(name).eval(), clips(2)
    assert sorted(missing_modality.removable(network)) == ["audio", "video"]
    means = means_of(network)
    changed = {modality: batch.replace(**{array: -batch[array]}) for modality, array in INPUT.items()}
    with torch.inference_mode():
        before = network(batch).fused
        with replace_modality(network, missing, means):
            without = network(batch).fused
            assert torch.equal(network(changed[missing]).fused, without)
            assert (network(changed[other]).fused - without).abs().max() > 1e-5
        assert (without - before).abs().max() > 1e-5
        assert torch.equal(network(batch).fused, before), "the modality is back afterwards"


@pytest.mark.parametrize("name", ["averaging", "multiplication", "multiplicative"])
def test_late_fusion_gets_a_uniform_prediction_instead(name: str) -> None:
    network, batch = small_scale(name).eval(), clips(2)
    with torch.inference_mode():
        audio = network(batch).audio
        with replace_modality(network, "video", means_of(network)):
            predicted = network(batch)
    uniform = torch.full_like(audio, -math.log(8))
    torch.testing.assert_close(predicted.video, uniform)
    torch.testing.assert_close(predicted.fused, network.combine(uniform, audio))


@pytest.mark.parametrize("name", ["concat", "mmtm"])
def test_mean_features_ignore_the_batch_size(name: str) -> None:
    network = small_scale(name).train()
    in_threes, in_ones = means_of(network, 3), means_of(network, 1)
    modules = [module for names in network.modality_modules.values() for module in names]
    assert network.training and sorted(in_threes) == sorted(modules)
    for module, mean in in_threes.items():
        np.testing.assert_allclose(mean, in_ones[module], atol=1e-5, rtol=1e-5)
    network.eval()
    first = network.modality_modules["video"][0]
    with torch.inference_mode():
        expected = network.get_submodule(first)(clips(6)["frames"]).mean(dim=0)
    np.testing.assert_allclose(in_threes[first], expected, atol=1e-5, rtol=1e-5)


def test_computing_means_changes_no_batch_statistics() -> None:
    network = small_scale("concat").train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    means_of(network)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_single_modality_cannot_be_removed(manifest: Manifest, datasets: FoldDatasets) -> None:
    assert missing_modality.removable(small_scale("eranns")) == []
    predictor = Predictor(networks.network(networks.spec("audio", manifest, TRIAL)), networks.NORMALISE, 4)
    means = describe(predictor.network, predictor.batches(datasets.train)).means
    assert missing_modality.predict_without_each(predictor, datasets.test, means) == means == {}


class OtherAudio(Clips):
    """The same clips, each with the MFCC of another clip."""

    def __init__(self, clips: Clips) -> None:
        self.__dict__.update(clips.__dict__)

    def __getitems__(self, positions: list[int]) -> Batch:
        batch = super().__getitems__(positions)
        return batch.replace(mfcc=batch["mfcc"].flip(0))


def test_the_test_speakers_features_replace_nothing(manifest: Manifest, datasets: FoldDatasets) -> None:
    """The mean is that of the training speakers: other test audio changes no prediction without audio."""
    predictor = Predictor(networks.network(networks.spec("cfnsr", manifest, TRIAL)), networks.NORMALISE, 4)
    means = describe(predictor.network, predictor.batches(datasets.train)).means
    original = missing_modality.predict_without_each(predictor, datasets.test, means)
    changed = missing_modality.predict_without_each(predictor, OtherAudio(datasets.test), means)
    assert np.array_equal(original["without_audio"], changed["without_audio"])
    assert not np.array_equal(original["without_video"], changed["without_video"])
    other = describe(predictor.network, predictor.batches(datasets.test)).means
    of_test = missing_modality.predict_without_each(predictor, datasets.test, other)
    assert not np.array_equal(original["without_audio"], of_test["without_audio"])
