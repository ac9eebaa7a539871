from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cfnsr import dataset, encoders, evaluate, train
from cfnsr.batch import Prediction
from cfnsr.dataset import Clips
from cfnsr.errors import CfnsrError
from cfnsr.naming import LABELS
from cfnsr.optimiser import Adam
from tests import corpus

PREPARE = evaluate.Normalise([110.0] * 3, [40.0] * 3, "rgb", torch.device("cpu"))
SETTINGS: dict[str, Any] = {"prepare": PREPARE, "learning_rate": 0.003, "weight_decay": 0.0, "precision": "fp32"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus.write(tmp_path_factory.mktemp("shards"))


def audio_network() -> nn.Module:
    torch.manual_seed(5)
    return encoders.Unimodal(
        encoders.build("audio", 8, coefficients=13, steps=36, dropout=0.2, head_dropout=0.4), "audio"
    )


def scripted(values: list[np.ndarray]) -> train.Validation:
    """A validation set whose predictions are told beforehand, epoch by epoch."""
    rest = iter(values)
    return train.Validation(lambda _: next(rest), np.array([0, 1]))


def sure(first: float, second: float) -> np.ndarray:
    """Log-probabilities of two clips of classes 0 and 1: how probable the right class is."""
    return np.log(np.array([[first, 1 - first], [1 - second, second]], np.float32))


def run(
    folder: Path,
    network: nn.Module,
    validation: train.Validation,
    epochs: int,
    onlooker: Any = lambda _: None,
    **changes: Any,
) -> tuple[int, list[train.Epoch]]:
    told: list[train.Epoch] = []
    batches = dataset.shuffled(Clips(folder, ["03", "04"], list(LABELS)), 4, flip=0.5, shift=0.1, seed=3)
    kept = train.fit(
        network, batches, validation, epochs=epochs, onlooker=onlooker, report=told.append, **{**SETTINGS, **changes}
    )
    return kept, told


def test_it_learns_what_can_be_learnt(folder: Path) -> None:
    network = audio_network()
    clips = Clips(folder, ["02"], list(LABELS))
    classes = np.arange(8)
    look = train.Validation(lambda model: evaluate.predict(model, dataset.in_order(clips, 4), PREPARE), classes)
    _, told = run(folder, network, look, epochs=25)
    assert told[-1].train_loss < told[0].train_loss / 2
    assert max(epoch.validation_accuracy for epoch in told) >= 0.75
    assert evaluate.accuracy(look.look(network), classes) == max(epoch.validation_accuracy for epoch in told)


def test_the_epoch_kept_is_the_one_that_validates_best_and_the_loss_breaks_ties(folder: Path) -> None:
    network = audio_network()
    states: list[dict[str, torch.Tensor]] = []

    def remember(model: nn.Module) -> None:
        states.append({name: value.clone() for name, value in model.state_dict().items()})

    script = scripted([sure(0.9, 0.4), sure(0.6, 0.6), sure(0.8, 0.8), sure(0.8, 0.8), sure(0.1, 0.1)])
    kept, told = run(folder, network, script, epochs=5, onlooker=remember)
    assert kept == 3  # as accurate as the second, but surer; the fourth is its equal and comes later
    assert [epoch.validation_accuracy for epoch in told] == [0.5, 1.0, 1.0, 1.0, 0.0]
    assert all(torch.equal(value, states[2][name]) for name, value in network.state_dict().items())
    assert not all(torch.equal(value, states[4][name]) for name, value in network.state_dict().items())


def test_the_test_set_has_no_part_in_the_choice(folder: Path) -> None:
    def kept_with(test_scores: list[float]) -> int:
        rest = iter(test_scores)
        onlooker = evaluate.Onlooker(lambda _: sure(next(rest), 0.9), np.array([0, 1]))
        kept, _ = run(folder, audio_network(), scripted([sure(0.6, 0.6), sure(0.9, 0.9), sure(0.4, 0.4)]), 3, onlooker)
        assert onlooker.best_epoch == 1 + int(np.argmax(np.array(test_scores) > 0.5))
        return kept

    assert kept_with([0.9, 0.1, 0.1]) == kept_with([0.1, 0.1, 0.9]) == 2


def test_the_same_seed_gives_the_same_weights(folder: Path) -> None:
    def weights() -> dict[str, torch.Tensor]:
        train.make_reproducible(11, 1, PREPARE.device)
        network = audio_network()
        run(folder, network, scripted([sure(0.6, 0.6)] * 2), epochs=2)
        return network.state_dict()

    first, second = weights(), weights()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_our_adam_is_torchs_and_leaves_the_compiler_alone(folder: Path) -> None:
    def weights(adam: type[torch.optim.Adam]) -> list[torch.Tensor]:
        network = audio_network().train()
        optimiser = adam(network.parameters(), lr=0.01, weight_decay=0.1)
        for batch in dataset.in_order(Clips(folder, ["03"], list(LABELS)), 4):
            torch.manual_seed(1)
            optimiser.zero_grad(set_to_none=True)
            network(*PREPARE(batch)[:3]).fused[:, 0].mean().backward()
            optimiser.step()
        return list(network.parameters())

    assert all(torch.equal(ours, theirs) for ours, theirs in zip(weights(Adam), weights(torch.optim.Adam), strict=True))
    program = """
import sys, torch
from cfnsr import train
train.make_reproducible(1, 1, torch.device("cpu"))
layer = torch.nn.Linear(2, 2)
optimiser = train.Adam(layer.parameters(), lr=0.1)
layer(torch.ones(1, 2)).sum().backward()
optimiser.step(); optimiser.zero_grad()
assert torch.are_deterministic_algorithms_enabled()
print("torch._dynamo" in sys.modules)"""
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert train.pick_device("auto") == train.pick_device("cpu") == torch.device("cpu")
    with pytest.raises(CfnsrError, match=r"train\.device: is cuda, and torch finds no GPU"):
        train.pick_device("cuda")


def test_a_loss_that_is_not_a_number_stops_the_training(folder: Path) -> None:
    network = audio_network()
    network.encoder.head.linear.weight.data.fill_(float("inf"))
    with pytest.raises(CfnsrError, match="epoch 1: the loss is not a number"):
        run(folder, network, scripted([sure(0.6, 0.6)]), epochs=1)


def test_bf16_trains_in_bf16_and_keeps_fp32_weights(folder: Path) -> None:
    seen: list[torch.dtype] = []
    network = audio_network()
    network.encoder.trunk.conv1.conv.register_forward_hook(lambda *args: seen.append(args[2].dtype))
    run(folder, network, scripted([sure(0.6, 0.6)]), epochs=1, precision="bf16")
    assert set(seen) == {torch.bfloat16}
    assert {value.dtype for value in network.parameters()} == {torch.float32}


def test_predicting_leaves_the_network_in_its_mode_and_does_not_depend_on_the_batch(folder: Path) -> None:
    network = audio_network().train()
    clips = Clips(folder, ["01"], list(LABELS))
    alone = evaluate.predict(network, dataset.in_order(clips, 1), PREPARE)
    together = evaluate.predict(network, dataset.in_order(clips, 8), PREPARE)
    assert network.training
    assert np.abs(alone - together).max() <= 1e-5


def test_onlooker_keeps_the_first_of_equals_and_the_last() -> None:
    class Scripted(nn.Module):
        def forward(self) -> Prediction:
            raise AssertionError

    rest = iter([sure(0.2, 0.9), sure(0.9, 0.8), sure(0.7, 0.6), sure(0.1, 0.2)])
    onlooker = evaluate.Onlooker(lambda _: next(rest), np.array([0, 1]))
    for _ in range(4):
        onlooker(Scripted())
    assert onlooker.accuracies == [0.5, 1.0, 1.0, 0.0] and onlooker.best_epoch == 2
    assert np.array_equal(onlooker.best, sure(0.9, 0.8)) and np.array_equal(onlooker.last, sure(0.1, 0.2))
