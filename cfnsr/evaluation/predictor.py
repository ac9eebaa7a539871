"""How a cell's network is shown clips."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from cfnsr.data import dataset
from cfnsr.data.dataset import Clips
from cfnsr.evaluation import missing_modality, predict
from cfnsr.evaluation.outputs import Job
from cfnsr.evaluation.predict import Attention, LogProbabilities


class Predictor:
    """A cell's network on its device, and how it is shown clips there."""

    def __init__(self, cell: Job, batch_size: int, device: torch.device) -> None:
        cell.network.to(device)
        self.cell, self.size = cell, batch_size
        self.prepare = predict.Normalise(**cell.specification["pixels"], device=device)

    def at(self, clips: Clips) -> Callable[[nn.Module], LogProbabilities]:
        batches = dataset.in_order(clips, self.size)
        return lambda network: predict.predict(network, batches, self.prepare)

    def attention(self) -> Attention | None:
        """Where the network looks in the test speakers' clips, if it says so."""
        return predict.attention(self.cell.network, dataset.in_order(self.cell.fold.test, self.size), self.prepare)

    def without_each_modality(self) -> dict[str, LogProbabilities]:
        """What the test speakers' clips are taken for without the face, and without the voice; see ``absence``."""
        network, fold = self.cell.network, self.cell.fold
        modalities = missing_modality.removable(network)
        if not modalities:
            return {}
        instead = missing_modality.stand_ins(network, dataset.in_order(fold.train, self.size), self.prepare)
        found = {}
        for modality in modalities:
            with missing_modality.without(network, modality, instead):
                found[f"without_{modality}"] = self.at(fold.test)(network)
        return found
