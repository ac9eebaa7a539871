"""A cell whose network is trained."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

import pandas as pd
import torch
from dvclive.live import Live

from cfnsr.errors import CfnsrError
from cfnsr.evaluation import device, memory, predict
from cfnsr.evaluation.outputs import VALIDATION, Job
from cfnsr.evaluation.predictor import Predictor
from cfnsr.runtime.outputs import atomic_folder
from cfnsr.training import loop
from cfnsr.training.lesson import Lesson, lesson_of
from cfnsr.training.resume import ResumeCheckpoint, fingerprint
from cfnsr.training.settings import Recipe
from cfnsr.training.team import ALONE, Team, same


def run(
    cell: Job, *, training: dict[str, Any], shared: dict[str, Any], place: torch.device, team: Team = ALONE
) -> None:
    """Train a network on one fold and write all that is known of it.

    Args:
        cell: what to train, and on what.
        training: ``epochs``, ``batch_size``, ``learning_rate``, ``weight_decay``.
        shared: ``train`` of params.yaml.
        place: the device to train on.
        team: who trains together; its leader alone writes.

    Raises:
        CfnsrError: the team's processes differ in code, params or data, or one is gone; or training failed.
    """
    memory.keep()
    recipe = Recipe.of(training, shared, device.pick_precision(shared["precision"], place))
    if recipe.compile:
        device.needs_compiler(place)
    looks = Predictor(cell, recipe.batch_size, place)
    standing = _standing(cell, recipe, shared, place)
    if not same(team, standing.fingerprint + _glimpse(cell)):
        raise CfnsrError("train.devices", "the processes differ in code, params or data", "Bring all to one commit")
    lesson = lesson_of(cell.network, cell.fold, recipe, shared["augment"], looks.prepare, team=team)
    if team.rank:
        lesson.follow()
        return
    _led(cell, lesson, recipe, looks, standing)
    standing.drop()


def _led(cell: Job, lesson: Lesson, recipe: Recipe, looks: Predictor, standing: ResumeCheckpoint) -> None:
    """Train, judge and write."""
    test_monitor = predict.TestMonitor(looks.at(cell.fold.test), cell.fold.test.classes)
    selection_split = cell.fold.selection_split
    with atomic_folder(cell.places.curves) as curves:
        with Live(str(curves), dvcyaml=False, save_dvc_exp=False) as live, lesson.leading():
            kept, last = loop.fit(
                lesson,
                loop.Validation(looks.at(selection_split), selection_split.classes),
                epochs=recipe.epochs,
                patience=recipe.patience,
                test_monitor=test_monitor,
                report=lambda epoch: _log(live, epoch),
                saved=standing,
            )
        tested = pd.DataFrame({"epoch": range(1, last + 1), "accuracy": test_monitor.accuracies})
        tested.to_csv(curves / "test.csv", index=False, lineterminator="\n")
    assert test_monitor.best is not None and test_monitor.last is not None
    choices = {
        "selected": test_monitor.look(cell.network),
        "last_epoch": test_monitor.last,
        "best_test_epoch": test_monitor.best,
        **looks.without_each_modality(),
    }
    if cell.fold.validation is not None:
        choices[VALIDATION] = looks.at(cell.fold.validation)(cell.network)
    cell.write(choices, looks.attention(), epochs=last, selected_epoch=kept, best_test_epoch=test_monitor.best_epoch)


def _glimpse(cell: Job) -> str:
    """A digest of a few training clips as this machine has them: where arrays were made otherwise, all differ."""
    clips = cell.fold.train
    digest = hashlib.md5(usedforsecurity=False)
    for values in clips.__getitems__(sorted({len(clips) * part // 8 for part in range(8)})):
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()


def _standing(cell: Job, recipe: Recipe, shared: dict[str, Any], place: torch.device) -> ResumeCheckpoint:
    clips = cell.fold.train.index[["clip", "source_md5"]].to_numpy().tolist()
    described = [cell.specification, asdict(recipe), shared, asdict(cell.manifest), clips, place.type]
    return ResumeCheckpoint(cell.places.resume, fingerprint(cell.network.state_dict(), *described))


def _log(live: Live, epoch: loop.Epoch) -> None:
    figures = asdict(epoch)
    number = figures.pop("number")
    for name, value in figures.items():
        live.log_metric(name.replace("_", "/", 1), value)
    live.next_step()
    print(
        f"epoch {number:3d}  train loss {epoch.train_loss:.3f}  validation loss {epoch.validation_loss:.3f}  "
        f"accuracy {epoch.validation_accuracy:6.1%}",
        flush=True,
    )
