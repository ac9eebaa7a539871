"""The training loop, and only here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from cfnsr.batch import Batch, Prediction
from cfnsr.errors import CfnsrError
from cfnsr.evaluate import LogProbabilities, Normalise, accuracy
from cfnsr.optimiser import Adam


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch.

    Attributes:
        number: from 1.
        train_loss: mean over the epoch's clips of what was lowered, nats.
        validation_loss: negative log-likelihood of the validation speakers, nats.
        validation_accuracy: share of their clips that is right.
    """

    number: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class Validation:
    """How an epoch is judged: the validation speakers' predictions and their true classes."""

    look: Callable[[nn.Module], LogProbabilities]
    classes: np.ndarray


def make_reproducible(seed: int, threads: int, device: torch.device) -> None:
    """Seed torch and, on the CPU, allow no operation whose result depends on timing.

    On a GPU the pooling of 3D features has no such operation: there cuDNN is held to fixed algorithms, and two runs
    agree closely, not bit for bit. Not measured on GPU.

    Args:
        seed: of weights and dropout.
        threads: of torch on the CPU; how sums are split, and so their last bits, depends on it.
        device: where the network will be.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    torch.backends.cudnn.allow_tf32 = False  # fp32 is to mean fp32
    if device.type == "cpu":
        # As use_deterministic_algorithms(True), which would also load the compiler, to configure that.
        torch.set_deterministic_debug_mode("error")


def pick_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one.

    Raises:
        CfnsrError: a GPU is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise CfnsrError("train.device", "is cuda, and torch finds no GPU", "Set it to auto or cpu")
    return torch.device("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else torch.device(name)


def fit(
    network: nn.Module,
    batches: DataLoader[Batch],
    validation: Validation,
    *,
    prepare: Normalise,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    precision: str,
    onlooker: Callable[[nn.Module], None],
    report: Callable[[Epoch], None],
) -> int:
    """Train, and leave the network with the weights of the epoch that validates best.

    The best has the highest validation accuracy; of equals, the lowest validation loss.

    Args:
        network: on the device of ``prepare``; its ``loss`` is lowered, or else the negative log-likelihood of what
            it predicts.
        batches: of the training speakers.
        validation: of the validation speakers; alone decides which epoch is kept.
        prepare: brings a batch to the device.
        epochs: passes over the training speakers.
        learning_rate, weight_decay: of Adam, constant.
        precision: of the forward pass: ``fp32``, or ``bf16`` by autocast.
        onlooker: is shown the network after each epoch and gives nothing back.
        report: is told each epoch's figures.

    Returns:
        The number of the epoch kept, from 1.

    Raises:
        CfnsrError: the loss is no longer a number.
    """
    optimiser = Adam(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    best, kept, state = (-1.0, 0.0), 0, {}
    for number in range(1, epochs + 1):
        train_loss = _one_epoch(network, batches, optimiser, prepare, precision)
        predicted = validation.look(network)
        epoch = Epoch(
            number, train_loss, _likelihood_loss(predicted, validation.classes), accuracy(predicted, validation.classes)
        )
        if not math.isfinite(epoch.train_loss + epoch.validation_loss):
            raise CfnsrError(
                f"epoch {number}",
                f"the loss is not a number (training {epoch.train_loss}, validation {epoch.validation_loss})",
                "Set train.precision to fp32, or lower the learning rate",
            )
        if (epoch.validation_accuracy, -epoch.validation_loss) > best:
            best, kept = (epoch.validation_accuracy, -epoch.validation_loss), number
            state = {name: value.detach().clone() for name, value in network.state_dict().items()}
        onlooker(network)
        report(epoch)
    network.load_state_dict(state)
    return kept


def _one_epoch(
    network: nn.Module, batches: DataLoader[Batch], optimiser: torch.optim.Optimizer, prepare: Normalise, precision: str
) -> float:
    network.train()
    loss_of = getattr(network, "loss", _likelihood)
    total, count = 0.0, 0
    for batch in batches:
        frames, mel, mfcc, label = prepare(batch)
        with torch.autocast(prepare.device.type, torch.bfloat16, enabled=precision == "bf16"):
            prediction = network(frames, mel, mfcc)
        loss = loss_of(prediction, label)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        total += loss.item() * len(label)
        count += len(label)
    return total / count


def _likelihood(prediction: Prediction, label: Int64[Tensor, " batch"]) -> Float[Tensor, ""]:
    return F.nll_loss(prediction.fused.float(), label)


def _likelihood_loss(predicted: LogProbabilities, classes: np.ndarray) -> float:
    return float(-predicted[np.arange(len(classes)), classes].mean())
