from __future__ import annotations

import random
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from cfnsr import config
from cfnsr.corpora.filenames import LABELS
from cfnsr.data import dataset
from cfnsr.data.dataset import Clips
from cfnsr.errors import CfnsrError
from cfnsr.evaluation import device, predict
from cfnsr.models import encoders
from cfnsr.models.types import Prediction
from cfnsr.training import loop
from cfnsr.training.augment import Augment
from cfnsr.training.lesson import Lesson
from cfnsr.training.optimiser import Adam
from cfnsr.training.settings import Criterion, Recipe
from tests.support import corpus

CPU = torch.device("cpu")
PREPARE = predict.Normalise([110.0] * 3, [40.0] * 3, "rgb", CPU)
SHARED = config.load(Path(__file__).parents[2] / "params.yaml").train.model_dump()
RECIPE = Recipe.of({"epochs": 2, "batch_size": 4, "learning_rate": 0.003, "weight_decay": 0.0}, SHARED, "fp32")


class Nobody:
    """An test_monitor who looks at nothing."""

    def __call__(self, network: nn.Module) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class Remembering(Nobody):
    """One who keeps every epoch's weights."""

    def __init__(self) -> None:
        self.states: list[dict[str, torch.Tensor]] = []

    def __call__(self, network: nn.Module) -> None:
        self.states.append({name: value.clone() for name, value in network.state_dict().items()})


class Forgetting:
    """Keeps nothing across kills."""

    def load(self) -> None:
        return None

    def save(self, state: dict[str, Any]) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus.write(tmp_path_factory.mktemp("shards"))


def audio_network() -> nn.Module:
    torch.manual_seed(5)
    return encoders.Unimodal(
        encoders.build("audio", 8, coefficients=13, steps=36, dropout=0.2, head_dropout=0.4), "audio"
    )


def scripted(values: list[np.ndarray]) -> loop.Validation:
    """A validation set whose predictions are told beforehand, epoch by epoch."""
    rest = iter(values)
    return loop.Validation(lambda _: next(rest), np.array([0, 1]))


def sure(first: float, second: float) -> np.ndarray:
    """Log-probabilities of two clips of classes 0 and 1: how probable the right class is."""
    return np.log(np.array([[first, 1 - first], [1 - second, second]], np.float32))


def lesson(folder: Path, network: nn.Module, recipe: Recipe = RECIPE, **changes: Any) -> Lesson:
    clips = Clips(folder, ["03", "04"], list(LABELS))
    options: dict[str, Any] = {
        "criterion": Criterion(recipe, clips.classes, len(LABELS), CPU),
        "augment": Augment(**SHARED["augment"], seed=3),
        "prepare": PREPARE,
    }
    return Lesson(network, dataset.shuffled(clips, recipe.batch_size, seed=3), recipe, **options | changes)


def run(
    folder: Path,
    network: nn.Module,
    validation: loop.Validation,
    epochs: int,
    test_monitor: Any = None,
    saved: Any = None,
    **changes: Any,
) -> tuple[int, list[loop.Epoch]]:
    told: list[loop.Epoch] = []
    recipe = replace(RECIPE, epochs=epochs, **changes)
    kept, last = loop.fit(
        lesson(folder, network, recipe),
        validation,
        epochs=epochs,
        patience=recipe.patience,
        test_monitor=test_monitor or Nobody(),
        report=told.append,
        saved=saved or Forgetting(),
    )
    assert last == len(told)
    return kept, told


def test_it_learns_what_can_be_learnt(folder: Path) -> None:
    network = audio_network()
    clips = Clips(folder, ["02"], list(LABELS))
    classes = np.arange(8)
    look = loop.Validation(lambda model: predict.predict(model, dataset.in_order(clips, 4), PREPARE), classes)
    _, told = run(folder, network, look, epochs=25)
    assert told[-1].train_loss < told[0].train_loss / 2
    assert max(epoch.validation_accuracy for epoch in told) >= 0.75
    assert predict.accuracy(look.look(network), classes) == max(epoch.validation_accuracy for epoch in told)


def test_the_epoch_kept_is_the_one_that_validates_best_and_the_loss_breaks_ties(folder: Path) -> None:
    network = audio_network()
    remember = Remembering()
    script = scripted([sure(0.9, 0.4), sure(0.6, 0.6), sure(0.8, 0.8), sure(0.8, 0.8), sure(0.1, 0.1)])
    kept, told = run(folder, network, script, epochs=5, test_monitor=remember)
    assert kept == 3  # as accurate as the second, but surer; the fourth is its equal and comes later
    assert [epoch.validation_accuracy for epoch in told] == [0.5, 1.0, 1.0, 1.0, 0.0]
    assert all(torch.equal(value, remember.states[2][name]) for name, value in network.state_dict().items())
    assert not all(torch.equal(value, remember.states[4][name]) for name, value in network.state_dict().items())


def test_the_test_set_has_no_part_in_the_choice(folder: Path) -> None:
    def kept_with(test_scores: list[float]) -> int:
        rest = iter(test_scores)
        test_monitor = predict.TestMonitor(lambda _: sure(next(rest), 0.9), np.array([0, 1]))
        kept, _ = run(
            folder, audio_network(), scripted([sure(0.6, 0.6), sure(0.9, 0.9), sure(0.4, 0.4)]), 3, test_monitor
        )
        assert test_monitor.best_epoch == 1 + int(np.argmax(np.array(test_scores) > 0.5))
        return kept

    assert kept_with([0.9, 0.1, 0.1]) == kept_with([0.1, 0.1, 0.9]) == 2


def test_the_same_seed_gives_the_same_weights(folder: Path) -> None:
    def weights() -> dict[str, torch.Tensor]:
        device.make_reproducible(11, 1, PREPARE.device)
        network = audio_network()
        run(folder, network, scripted([sure(0.6, 0.6)] * 2), epochs=2)
        return network.state_dict()

    first, second = weights(), weights()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_our_adam_is_torchs_and_leaves_the_compiler_alone(folder: Path) -> None:
    def weights(adam: type[torch.optim.Adam]) -> list[torch.Tensor]:
        network = audio_network().train()
        optimiser = adam(network.parameters(), lr=0.01, weight_decay=0.1, fused=True)
        for batch in dataset.in_order(Clips(folder, ["03"], list(LABELS)), 4):
            torch.manual_seed(1)
            optimiser.zero_grad(set_to_none=True)
            network(*PREPARE(batch)[:3]).fused[:, 0].mean().backward()
            optimiser.step()
        return list(network.parameters())

    assert all(torch.equal(ours, theirs) for ours, theirs in zip(weights(Adam), weights(torch.optim.Adam), strict=True))
    program = """
import sys, torch
from cfnsr.evaluation import device
from cfnsr.training import loop
from cfnsr.training.optimiser import Adam
device.make_reproducible(1, 1, torch.device("cpu"))
layer = torch.nn.Linear(2, 2)
optimiser = Adam(layer.parameters(), lr=0.1, fused=True)
layer(torch.ones(1, 2)).sum().backward()
optimiser.step(); optimiser.zero_grad()
optimiser.load_state_dict(optimiser.state_dict())
assert torch.are_deterministic_algorithms_enabled()
print("torch._dynamo" in sys.modules)"""
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_a_loss_that_is_not_a_number_stops_the_training(folder: Path) -> None:
    network = audio_network()
    network.encoder.head.linear.weight.data.fill_(float("inf"))
    with pytest.raises(CfnsrError, match="epoch 1: the loss is not a number"):
        run(folder, network, scripted([sure(0.6, 0.6)]), epochs=1)


@pytest.mark.parametrize(("precision", "kind"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_autocast_trains_in_half_and_keeps_fp32_weights(folder: Path, precision: str, kind: torch.dtype) -> None:
    seen: list[torch.dtype] = []
    network = audio_network()
    before = [value.clone() for value in network.parameters()]
    network.encoder.trunk.conv1.conv.register_forward_hook(lambda *args: seen.append(args[2].dtype))
    _, told = run(folder, network, scripted([sure(0.6, 0.6)] * 3), epochs=3, precision=precision)
    assert set(seen) == {kind}
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert told[2].train_loss < told[0].train_loss
    assert all(not torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))


def test_fp16_scales_its_loss_and_passes_over_a_step_that_overflows(folder: Path) -> None:
    network = audio_network()
    taught = lesson(folder, network, replace(RECIPE, precision="fp16"))
    state = taught.state_dict()
    assert state["scaler"]["scale"] == 65536.0
    before = network.encoder.head.linear.weight.clone()
    state["scaler"]["scale"] = 1e38  # every gradient overflows
    taught.load_state_dict(state)
    taught.epoch()
    assert torch.equal(before, network.encoder.head.linear.weight)
    assert taught.state_dict()["scaler"]["scale"] < 1e38


def steps_taken(folder: Path, recipe: Recipe, seen: Any) -> None:
    """Run an epoch, and call ``seen(lesson)`` at each step."""
    taught = lesson(folder, audio_network(), recipe)
    taught._optimiser.register_step_pre_hook(lambda *_: seen(taught))
    for _ in range(recipe.epochs):
        taught.epoch()


def test_the_gradients_norm_is_bounded(folder: Path) -> None:
    norms: list[float] = []

    def norm(taught: Any) -> None:
        parts = [value.grad.norm() for value in taught._weights]
        norms.append(float(torch.stack(parts).norm()))

    steps_taken(folder, RECIPE, norm)
    assert max(norms) > 0.1
    norms.clear()
    steps_taken(folder, replace(RECIPE, clip_norm=0.1), norm)
    assert len(norms) == 8 and max(norms) <= 0.1 + 1e-5


@pytest.mark.parametrize(
    "changes",
    [{}, {"class_weights": "balanced"}, {"class_weights": "balanced", "label_smoothing": 0.1}, {"precision": "fp16"}],
    ids=["plain", "balanced", "smoothed", "fp16"],
)
def test_joined_batches_have_the_gradient_of_one_large_batch(folder: Path, changes: dict[str, Any]) -> None:
    """But for what depends on the batch: here no dropout, and the statistics of evaluation."""
    gradients = []
    # Three joined, of two: the epoch's end ends a group. 6 and 7 leave a short batch.
    for size, joined in ((16, 1), (4, 4), (8, 3), (6, 3), (7, 3), (14, 2)):
        network = audio_network()
        for layer in network.modules():
            if isinstance(layer, nn.Dropout | nn.BatchNorm1d):
                layer.train = lambda mode=True, layer=layer: layer  # type: ignore[method-assign]
                layer.training = False
        recipe = replace(RECIPE, batch_size=size, accumulate=joined, **changes)
        classes = np.arange(16) % 5 % 4  # unequal
        taught = lesson(folder, network, recipe, criterion=Criterion(recipe, classes, len(LABELS), CPU))
        seen: list[torch.Tensor] = []
        keep = lambda *_, seen=seen, taught=taught: seen.extend(value.grad.clone() for value in taught._weights)  # noqa: E731
        taught._optimiser.register_step_pre_hook(keep)
        taught.epoch()
        scale = taught._scaler.get_scale() if recipe.precision == "fp16" else 1.0
        gradients.append(torch.cat([value.flatten() for value in seen]) / scale)
    near = 2e-2 if "precision" in changes else 1e-5
    for other in gradients[1:]:
        assert other.shape == gradients[0].shape
        assert (other - gradients[0]).norm() < near * gradients[0].norm()


def test_the_learning_rate_rises_stays_or_falls_as_asked(folder: Path) -> None:
    recipe = replace(RECIPE, epochs=4, schedule="cosine", warmup_epochs=1)
    rates: list[float] = []
    steps_taken(folder, recipe, lambda taught: rates.append(taught._optimiser.param_groups[0]["lr"]))
    assert rates[:5] == pytest.approx([0.003 * share for share in (0.25, 0.5, 0.75, 1.0, 1.0)])
    falling = [0.003 * 0.5 * (1 + np.cos(np.pi * step / 12)) for step in range(12)]
    assert rates[4:] == pytest.approx(falling)
    rates.clear()
    steps_taken(folder, RECIPE, lambda taught: rates.append(taught._optimiser.param_groups[0]["lr"]))
    assert set(rates) == {0.003}


def test_training_ends_where_nothing_gets_better(folder: Path) -> None:
    script = [sure(0.9, 0.4), sure(0.9, 0.9), sure(0.9, 0.8), sure(0.9, 0.7), sure(0.99, 0.99)]
    kept, told = run(folder, audio_network(), scripted(script), epochs=5, patience=2)
    assert (kept, len(told)) == (2, 4)
    kept, told = run(folder, audio_network(), scripted(script), epochs=5, patience=0)
    assert (kept, len(told)) == (5, 5)


@given(
    st.integers(2, 6),
    st.floats(0, 0.9),
    st.sampled_from(["none", "balanced"]),
    st.integers(0, 2**31),
)
def test_the_criterion_is_torchs_cross_entropy(count: int, smoothing: float, weights: str, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    classes = torch.cat([torch.arange(count), torch.randint(count, (9,), generator=random)])
    recipe = replace(RECIPE, label_smoothing=smoothing, class_weights=weights)
    log_probs = torch.randn(5, count, generator=random).log_softmax(dim=1)
    label = torch.randint(count, (5,), generator=random)
    found = Criterion(recipe, classes.numpy(), count, CPU)(nn.Identity(), Prediction(log_probs), label)
    weight = len(classes) / (count * classes.bincount(minlength=count)) if weights == "balanced" else None
    expected = torch.nn.functional.cross_entropy(log_probs, label, weight, label_smoothing=smoothing)
    assert float(found) == pytest.approx(float(expected), rel=1e-4, abs=1e-5)


def test_balanced_weights_are_scikit_learns() -> None:
    classes = np.array([0, 0, 0, 1, 2, 2])
    criterion = Criterion(replace(RECIPE, class_weights="balanced"), classes, 3, CPU)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=classes)
    assert criterion._weights.tolist() == pytest.approx(expected.tolist())


def test_a_class_without_a_clip_is_not_taught_by_smoothing() -> None:
    """Seven classes of 150 clips; the weights of those present average one, that of the eighth is none."""
    recipe = replace(RECIPE, class_weights="balanced", label_smoothing=0.1)
    criterion = Criterion(recipe, np.repeat(np.arange(7), 150), 8, CPU)
    assert criterion._weights.tolist() == [1.0] * 7 + [0.0]
    logits = torch.zeros(1, 8, requires_grad=True)
    for _ in range(300):
        loss = criterion(nn.Identity(), Prediction(logits.log_softmax(dim=1)), torch.tensor([0]))
        (gradient,) = torch.autograd.grad(loss, logits)
        logits = (logits - gradient).detach().requires_grad_()
    found = logits.softmax(dim=1)[0].tolist()
    assert found[0] > 0.85 and found[7] < 0.02


def test_the_gradients_norm_is_bounded_whatever_the_loss_was_scaled_by(folder: Path) -> None:
    """fp16: the gradient must be unscaled first, or its bound would be 65536 times as narrow."""
    norms: list[float] = []

    def norm(taught: Any) -> None:
        norm = float(torch.stack([value.grad.norm() for value in taught._weights]).norm())
        scale = taught._optimiser.grad_scale  # a fused optimiser unscales by itself what nobody has
        norms.append(norm if scale is None else norm / float(scale))

    steps_taken(folder, replace(RECIPE, clip_norm=0.1, precision="fp16", epochs=3), norm)
    finite = [value for value in norms if np.isfinite(value)]  # the first ones overflow, and are passed over
    assert len(finite) >= 3 and all(value == pytest.approx(0.1, rel=0.01) for value in finite)


def test_a_step_that_overflows_does_not_count_for_the_schedule(folder: Path) -> None:
    recipe = replace(RECIPE, precision="fp16", schedule="cosine", accumulate=2)
    taught = lesson(folder, audio_network(), recipe)
    state = taught.state_dict()
    state["scaler"]["scale"] = 1e38
    taught.load_state_dict(state)
    taught.batches(2)
    assert taught.state_dict()["schedule"]["last_epoch"] == 0
    state["scaler"]["scale"] = 1024.0
    taught.load_state_dict(state)
    taught.batches(len(taught))
    assert taught.state_dict()["schedule"]["last_epoch"] == len(taught) / 2  # a step for two batches
    taught.epoch()
    assert taught._optimiser.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)


def test_frozen_weights_and_their_statistics_stay(folder: Path) -> None:
    network = audio_network()
    network.encoder.trunk.requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    run(folder, network, scripted([sure(0.6, 0.6)]), epochs=1)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and not [name for name in changed if ".trunk." in name]


COMPILED = """
import sys
from pathlib import Path
import numpy as np, torch
from torch import nn
from cfnsr.evaluation import device
from cfnsr.training import loop
from tests.test_train import CPU, RECIPE, audio_network, lesson, replace
for compiled in (False, True):
    device.make_reproducible(11, 1, CPU)
    network = audio_network()
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0  # compiled, dropout draws another way
    print(lesson(Path(sys.argv[1]), network, replace(RECIPE, compile=compiled)).batches(1))
from torch._dynamo.utils import counters
print(counters["stats"]["unique_graphs"])
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile wants a C++ compiler")
def test_a_compiled_network_learns_the_same(folder: Path, root: Path) -> None:
    """In a process of its own: here every function checks its arguments, which cannot be compiled."""
    printed = subprocess.run(
        [sys.executable, "-c", COMPILED, str(folder)], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    plain, compiled, graphs = map(float, printed.split())
    assert plain == pytest.approx(compiled, rel=1e-4) and graphs >= 1
