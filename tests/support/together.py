"""A lesson by one or several processes: ``python -m tests.support.together SHARDS DEVICES OUT`` writes what came of it.

In a process of its own, which Fabric starts again for each of the others. Nothing depends on which clips are in which
share: dropout is 0, BatchNorm frozen, augmentation off.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cfnsr.corpora.filenames import LABELS
from cfnsr.data.dataset import Clips, in_order, shuffled
from cfnsr.evaluation import device, predict
from cfnsr.models import encoders, fusion
from cfnsr.training.augment import Augment
from cfnsr.training.lesson import Lesson
from cfnsr.training.settings import Criterion
from cfnsr.training.team import Team, gathered
from tests.support.zoo import OPTIONS
from tests.test_augment import AUDIO_OFF, VIDEO_OFF
from tests.test_train import CPU, PREPARE, RECIPE

# The clips are 17: a last batch of 1, 2, 3 or 5.
LESSONS: dict[str, dict[str, Any]] = {
    "last of one": {"batch_size": 4},
    "last of two": {"batch_size": 5},
    "last of three": {"batch_size": 7, "weight_decay": 0.1},  # without it Adam does not see how long a gradient is
    "weighted": {"batch_size": 6, "class_weights": "balanced", "label_smoothing": 0.1, "clip_norm": 0.5},
    "joined": {"batch_size": 4, "accumulate": 3, "schedule": "cosine"},
}


def network() -> nn.Module:
    """CFN-SR, all of it trained but its BatchNorm."""
    torch.manual_seed(5)
    video = encoders.build("video", 8, layers=[1, 1, 1, 1], width=16, cardinality=8, stem_relu=True)
    audio = encoders.build("audio", 8, coefficients=13, steps=36, dropout=0.0, head_dropout=0.0)
    off = {"attention_dropout": 0.0, "position_dropout": 0.0, "audio_dropout": 0.0}
    built = fusion.build("cfnsr", video, audio, 8, **OPTIONS["cfnsr"] | off)
    for layer in built.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.requires_grad_(False)
    return built


def learnt(shards: Path, team: Team, changes: dict[str, Any]) -> dict[str, Any]:
    # A low rate: Adam makes whole steps of the noise in gradients near 0, and at six times this rate that grows.
    recipe = replace(RECIPE, epochs=4, learning_rate=0.0005, **changes)
    taught, clips = network(), Clips(shards, ["03", "04"], list(LABELS))
    lesson = Lesson(
        taught,
        shuffled(clips, recipe.batch_size, seed=3, rank=team.rank, count=team.count),
        recipe,
        criterion=Criterion(recipe, clips.classes, len(LABELS), CPU),
        augment=Augment(video=VIDEO_OFF, audio=AUDIO_OFF, modality_dropout=0.0, seed=3),
        prepare=PREPARE,
        team=team,
    )
    if team.rank:
        lesson.follow()
        return {}
    with lesson.leading():
        losses = [lesson.epoch() for _ in range(recipe.epochs)]
    return {"losses": losses, "predicted": predict.predict(taught, in_order(clips, 4), PREPARE).tolist()}


if __name__ == "__main__":
    shards, devices, out = sys.argv[1:]
    team, _ = gathered("cpu", devices=int(devices), nodes=1)
    device.make_reproducible(1, 1, CPU)
    found = {name: learnt(Path(shards), team, changes) for name, changes in LESSONS.items()}
    if not team.rank:
        Path(out).write_text(json.dumps(found))
