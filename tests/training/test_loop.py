from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cfnsr.errors import CfnsrError
from cfnsr.evaluation import device
from cfnsr.evaluation.predict import Predictor, accuracy
from cfnsr.training.loop import Trainer, fit
from cfnsr.training.objective import Objective
from cfnsr.training.resume import ResumeCheckpoint
from cfnsr.training.settings import TrainingSettings
from tests.support import corpus
from tests.support.networks import CPU, NORMALISE
from tests.support.training import SETTINGS, audio_network, fold_of, log_probabilities, new_trainer, scripted_fit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus.write(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def two_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two clips a speaker, of classes 0 and 1."""
    return corpus.write(tmp_path_factory.mktemp("shards"), clips=2)


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# --- fit


def test_fit_learns_a_learnable_corpus(folder: Path, tmp_path: Path) -> None:
    network, fold = audio_network(), fold_of(folder)
    predictor = Predictor(network, NORMALISE, 4)
    trainer = new_trainer(folder, network, replace(SETTINGS, epochs=25))
    fitted = fit(trainer, fold, predictor, resume=ResumeCheckpoint(tmp_path, "a"), report=lambda epoch: None)
    assert fitted.epochs[-1].train_loss < fitted.epochs[0].train_loss / 2
    best = max(epoch.validation_accuracy for epoch in fitted.epochs)
    assert best >= 0.75 and accuracy(predictor.predict(fold.selection_split), np.arange(8)) == best


def test_best_validation_epoch_is_kept(two_clips: Path, tmp_path: Path) -> None:
    """Among equal accuracies the lowest loss decides, among equal losses the first epoch."""
    network, settings = audio_network(), replace(SETTINGS, epochs=5)
    script = [log_probabilities(*pair) for pair in [(0.9, 0.4), (0.6, 0.6), (0.8, 0.8), (0.8, 0.8), (0.1, 0.1)]]
    fitted, reported, weights = scripted_fit(two_clips, tmp_path, network, script, settings)
    assert fitted.selected_epoch == 3 and fitted.epochs == reported
    assert [epoch.validation_accuracy for epoch in reported] == [0.5, 1.0, 1.0, 1.0, 0.0]
    assert equal(network.state_dict(), weights[2]) and not equal(network.state_dict(), weights[4])


def test_test_accuracy_cannot_influence_the_selection(two_clips: Path, tmp_path: Path) -> None:
    validation = [log_probabilities(*pair) for pair in [(0.6, 0.6), (0.9, 0.9), (0.4, 0.4)]]
    for number, best in enumerate((1, 3)):
        test = [log_probabilities(0.9 if epoch == best else 0.1, 0.9) for epoch in (1, 2, 3)]
        settings = replace(SETTINGS, epochs=3)
        fitted, *_ = scripted_fit(two_clips, tmp_path / str(number), audio_network(), validation, settings, test)
        assert (fitted.selected_epoch, fitted.test_monitor.best_epoch) == (2, best)


def test_patience_stops_training_without_improvement(two_clips: Path, tmp_path: Path) -> None:
    script = [log_probabilities(*pair) for pair in [(0.9, 0.4), (0.9, 0.9), (0.9, 0.8), (0.9, 0.7), (0.99, 0.99)]]
    for patience, expected in ((2, (2, 4)), (0, (5, 5))):
        settings = replace(SETTINGS, epochs=5, patience=patience)
        fitted, *_ = scripted_fit(two_clips, tmp_path / str(patience), audio_network(), script, settings)
        assert (fitted.selected_epoch, len(fitted.epochs)) == expected


def test_infinite_loss_stops_training(two_clips: Path, tmp_path: Path) -> None:
    network: Any = audio_network()
    next(iter(network.encoder.head.parameters())).data.fill_(float("inf"))
    with pytest.raises(CfnsrError, match="epoch 1: the loss is NaN or infinite"):
        scripted_fit(two_clips, tmp_path, network, [log_probabilities(0.6, 0.6)], SETTINGS)


# --- epochs


def test_epochs_depend_only_on_seed_and_number(folder: Path) -> None:
    """Random numbers that were drawn before do not matter, so that runs can resume."""

    def weights(seed: int, epoch: int) -> dict[str, torch.Tensor]:
        network = audio_network()
        torch.rand(epoch + seed)
        new_trainer(folder, network, seed=seed).train_epoch(epoch)
        return network.state_dict()

    device.make_reproducible(11, 1, CPU)
    first = weights(3, 1)
    assert equal(first, weights(3, 1))
    assert not equal(first, weights(4, 1)) and not equal(first, weights(3, 2))


@pytest.mark.parametrize(("precision", "kind"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_autocast_keeps_weights_in_fp32(folder: Path, precision: str, kind: torch.dtype) -> None:
    seen: list[torch.dtype] = []
    network: Any = audio_network()
    before = [value.clone() for value in network.parameters()]
    network.encoder.stages[0].register_forward_hook(lambda *args: seen.append(args[2].dtype))
    trainer = new_trainer(folder, network, replace(SETTINGS, precision=precision))
    losses = [trainer.train_epoch(number) for number in (1, 2, 3)]
    assert set(seen) == {kind} and losses[2] < losses[0]
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert all(not torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))


def test_steps_that_overflow_are_skipped(folder: Path) -> None:
    """They change neither the weights nor the learning rate."""
    network = audio_network()
    trainer = new_trainer(folder, network, replace(SETTINGS, precision="fp16", schedule="cosine", accumulate=2))
    state = trainer.state_dict()
    assert state["scaler"]["scale"] == 65536.0
    before = {name: value.clone() for name, value in network.named_parameters()}
    state["scaler"]["scale"] = 1e38  # every gradient overflows
    trainer.load_state_dict(state)
    trainer.train_epoch(1, max_batches=2)
    assert equal(before, dict(network.named_parameters()))
    assert trainer.scaler.get_scale() < 1e38 and trainer.schedule.state_dict()["last_epoch"] == 0
    state["scaler"]["scale"] = 1024.0
    trainer.load_state_dict(state)
    trainer.train_epoch(1)
    assert trainer.schedule.state_dict()["last_epoch"] == 2  # four batches, two to a step


def on_each_step(trainer: Trainer, look: Callable[[], object]) -> list[Any]:
    """Train all epochs; return the value of ``look`` before each step."""
    seen: list[Any] = []
    trainer.optimiser.register_step_pre_hook(lambda *_: seen.append(look()))
    for number in range(1, trainer.settings.epochs + 1):
        trainer.train_epoch(number)
    return seen


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_clipping_bounds_the_gradients_norm(folder: Path, precision: str) -> None:
    def norms(settings: TrainingSettings) -> list[float]:
        network = audio_network()
        trainer = new_trainer(folder, network, settings)

        def norm() -> float:
            norm = torch.stack([value.grad.norm() for value in network.parameters() if value.grad is not None]).norm()
            scale = getattr(trainer.optimiser, "grad_scale", None)  # a fused optimiser may still have to unscale
            return float(norm if scale is None else norm / scale)

        return [value for value in on_each_step(trainer, norm) if np.isfinite(value)]  # fp16's first steps overflow

    settings = replace(SETTINGS, precision=precision, epochs=3)
    assert max(norms(settings)) > 0.2
    bounded = norms(replace(settings, clip_norm=0.1))
    assert len(bounded) >= 3 and max(bounded) <= 0.1 * 1.01


@pytest.mark.parametrize(
    "changes",
    [{}, {"class_weights": "balanced", "label_smoothing": 0.1}, {"precision": "fp16"}],
    ids=["plain", "balanced", "fp16"],
)
def test_accumulated_batches_equal_one_large_batch(folder: Path, changes: dict[str, Any]) -> None:
    """Dropout and batch statistics are off; batches of 6 and 7 clips leave a short last batch."""
    gradients = []
    for size, joined in ((16, 1), (4, 4), (8, 3), (6, 3), (7, 3), (14, 2)):
        network = audio_network()
        for layer in network.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
            if isinstance(layer, nn.BatchNorm1d):
                layer.requires_grad_(False)
        settings = replace(SETTINGS, epochs=1, batch_size=size, accumulate=joined, **changes)
        trainer = new_trainer(folder, network, settings)
        trainer.objective = Objective(settings, np.arange(16) % 5 % 4, 8, CPU)  # unequal classes
        scale = trainer.scaler.get_scale()
        weights = [value for value in network.parameters() if value.requires_grad]
        (seen,) = on_each_step(trainer, lambda weights=weights: [value.grad.clone() for value in weights])
        gradients.append(torch.cat([value.flatten() for value in seen]) / scale)
    tolerance = 2e-2 if "precision" in changes else 1e-5
    for other in gradients[1:]:
        assert (other - gradients[0]).norm() < tolerance * gradients[0].norm()


def test_steps_follow_the_learning_rates_schedule(folder: Path) -> None:
    trainer = new_trainer(folder, audio_network(), replace(SETTINGS, epochs=3, schedule="cosine", warmup_epochs=1))
    rates = on_each_step(trainer, lambda: trainer.optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([0.003 * trainer.settings.lr_scale(step, 4) for step in range(12)])


def test_frozen_layers_and_their_statistics_stay(folder: Path) -> None:
    network: Any = audio_network()
    network.encoder.stages.requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    new_trainer(folder, network).train_epoch(1)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and not [name for name in changed if ".stages." in name]


COMPILED = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from torch import nn
from torch._inductor import cpu_vec_isa
from cfnsr.evaluation import device
from cfnsr.models.types import Prediction
from tests.support.networks import CPU
from tests.support.training import SETTINGS, new_trainer

cpu_vec_isa.supported_vec_isa_list.clear()  # torch compiles a program for each set of vector instructions to try it

class Linear(nn.Module):
    modality_modules = {}
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(13 * 36, 8, bias=False)  # a bias's gradient is a kernel of its own
    def forward(self, batch):
        return Prediction(self.layer(batch["mfcc"].flatten(1)).log_softmax(dim=1))

for compiled in (False, True):
    device.make_reproducible(11, 1, CPU)
    print(new_trainer(Path(sys.argv[1]), Linear(), replace(SETTINGS, compile=compiled)).train_epoch(1, max_batches=2))
from torch._dynamo.utils import counters
print(counters["stats"]["unique_graphs"])
"""


@pytest.mark.skipif(
    shutil.which("g++") is None,
    reason="torch.compile compiles its kernels with a C++ compiler, which users need not have",
)
def test_compiled_networks_learn_the_same(folder: Path, root: Path, tmp_path: Path) -> None:
    """Runs in another process, because the type checks of the tests cannot be compiled."""
    command = [sys.executable, "-c", COMPILED, str(folder)]
    environment = {**os.environ, "TORCHINDUCTOR_COMPILE_THREADS": "1", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    environment["TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS"] = "0"  # takes longer than two kernels save by it
    printed = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    plain, compiled, graphs = map(float, printed.split())
    assert plain == pytest.approx(compiled, rel=1e-4) and graphs >= 1
