from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from cfnsr.data.dataset import Clips, FoldDatasets
from cfnsr.data.manifest import Manifest
from cfnsr.evaluation import predict
from cfnsr.evaluation.predict import LogProbabilities, Normalise, Predictor, accuracy
from cfnsr.models.types import Batch
from tests.support import corpus, networks

TRIAL = corpus.trial("fold_1")


def frames_of(batch: Batch, order: str) -> torch.Tensor:
    return Normalise([10.0, 20.0, 30.0], [2.0, 4.0, 8.0], order, networks.CPU)(batch)["frames"]


def test_frames_are_normalised_and_channels_first() -> None:
    frames = torch.randint(0, 255, (2, 4, 8, 6, 3), dtype=torch.uint8)
    batch = Batch({"frames": frames, "mfcc": torch.ones(2, 13, 5)}, torch.tensor([0, 1]))
    normalised = frames_of(batch, "rgb")
    assert normalised.shape == (2, 3, 4, 8, 6)
    assert normalised[1, 2, 3, 5, 4] == pytest.approx((float(frames[1, 3, 5, 4, 2]) - 30) / 8)
    assert normalised.is_contiguous(memory_format=torch.channels_last_3d)
    assert frames_of(batch, "bgr")[1, 2, 3, 5, 4] == pytest.approx((float(frames[1, 3, 5, 4, 0]) - 30) / 8)


def test_predictions_do_not_depend_on_the_batch_size(manifest: Manifest, datasets: FoldDatasets) -> None:
    network = networks.network(networks.spec("audio", manifest, TRIAL)).train()
    in_ones, in_eights = (Predictor(network, networks.NORMALISE, size).predict(datasets.test) for size in (1, 8))
    assert np.abs(in_ones - in_eights).max() <= 1e-5
    assert network.training, "predicting restores the mode"


def test_a_network_without_attention_has_none(manifest: Manifest, datasets: FoldDatasets) -> None:
    for name, changes in (("audio", {}), ("cfnsr", {"cross_modal": False})):
        spec = networks.spec(name, manifest, TRIAL, options=networks.OPTIONS.get(name, {}) | changes)
        assert Predictor(networks.network(spec), networks.NORMALISE, 4).attention(datasets.test) is None


def test_accuracy_is_the_share_predicted_right() -> None:
    predicted = np.log(np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8]]))
    assert accuracy(predicted, np.array([0, 1, 1, 1])) == 0.75


@dataclass(frozen=True)
class Scripted(Predictor):
    """Return the given predictions, one at each call."""

    predictions: Iterator[LogProbabilities]

    def predict(self, clips: Clips) -> LogProbabilities:
        return next(self.predictions)


def scripted(predictions: list[LogProbabilities]) -> Predictor:
    return Scripted(nn.Identity(), networks.NORMALISE, 8, iter(predictions))


def test_the_monitor_keeps_the_first_best_and_last(datasets: FoldDatasets) -> None:
    classes = datasets.test.classes

    def right(count: int, confidence: float) -> LogProbabilities:
        """Predict the first ``count`` of eight clips right."""
        predicted = np.full((8, 8), np.log((1 - confidence) / 7))
        predicted[np.arange(8), [*classes[:count], *np.roll(classes, 1)[count:]]] = np.log(confidence)
        return predicted

    predictions = [right(4, 0.9), right(7, 0.8), right(7, 0.9), right(1, 0.9)]
    monitor = predict.TestMonitor(scripted(predictions), datasets.test)
    for _ in range(3):
        monitor.update()
    resumed = predict.TestMonitor(scripted(predictions[3:]), datasets.test)
    resumed.load_state_dict(monitor.state_dict())
    resumed.update()
    assert resumed.accuracies == [0.5, 0.875, 0.875, 0.125] and resumed.best_epoch == 2
    assert np.array_equal(resumed.best, predictions[1]) and np.array_equal(resumed.last, predictions[3])
