"""Train one job: one row of the table, on one fold, from one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from dvclive.live import Live
from torch import nn

from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import VALIDATION, JobPaths
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.evaluation import device as devices
from cfnsr.evaluation import missing_modality, module_features
from cfnsr.evaluation.outputs import write_outputs
from cfnsr.evaluation.predict import LogProbabilities, Normalise, Predictor, TestMonitor
from cfnsr.evaluation.reference import Reference
from cfnsr.models.spec import ModelSpec
from cfnsr.runtime.outputs import atomic_folder
from cfnsr.training import distributed, torchrun
from cfnsr.training.augment import Augment
from cfnsr.training.loop import Epoch, Fit, Trainer, fit
from cfnsr.training.resume import ResumeCheckpoint, fingerprint
from cfnsr.training.settings import TrainingSettings


def run(
    build: Callable[[], tuple[nn.Module, ModelSpec]],
    trial: Trial,
    corpus_folder: Path,
    manifest: Manifest,
    paths: JobPaths,
    *,
    training: dict[str, Any],
    shared: dict[str, Any],
    arrange: Callable[[FoldDatasets], FoldDatasets] = lambda datasets: datasets,
    record: Mapping[str, Any] | None = None,
) -> str:
    """Train a network on one fold; write its checkpoint, predictions, curves and record.

    Args:
        build: builds the initial network, see ``cfnsr.evaluation.initial``; called once the random numbers are seeded.
        trial: protocol, fold and seed.
        corpus_folder: ``data/<corpus>``, which holds the shards.
        manifest: labels, the speakers of each fold, and the data's fingerprint.
        paths: where the outputs go.
        training: ``epochs``, ``batch_size``, ``learning_rate`` and ``weight_decay`` of this network.
        shared: ``train`` of params.yaml.
        arrange: changes the clips of the fold once they are opened.
        record: see ``write_outputs``.

    Returns:
        A description of the device.

    Raises:
        CfnsrError: the network cannot be built or trained, or one of several processes ended.
    """
    device = devices.pick(shared["device"])
    torch.set_num_threads(shared["threads"])
    if torchrun.launch(shared["devices"], device):  # this command has run in one process for each device
        return f"{shared['devices']} x {devices.describe(device)}"
    with torchrun.process_group(device):
        devices.keep_freed_memory()
        devices.make_reproducible(trial.seed, shared["threads"], device, deterministic=shared["deterministic"])
        settings = TrainingSettings.of(training, shared, devices.pick_precision(shared["precision"], device))

        fold = arrange(FoldDatasets.open(trial, corpus_folder / "shards", manifest))
        network, spec = build()
        fold = fold.reading(missing_modality.read_by(network))
        clips = fold.train.index[["clip", "source_md5"]].to_numpy().tolist()
        inputs = [asdict(spec), asdict(settings), shared, asdict(manifest), clips, device.type]
        resume = ResumeCheckpoint(paths.resume, fingerprint(network.state_dict(), *inputs))
        if len(set(distributed.all_gather(resume.path.name))) > 1:  # torchrun may have started them on several machines
            raise CfnsrError("train.devices", "the processes differ in code, params or data", "Use one commit for all")
        normalise = Normalise(**spec.pixels, device=device)
        trainer = new_trainer(network.to(device), fold, settings, shared["augment"], normalise)
        shared_predictor = distributed.SharedPredictor(network, normalise, settings.batch_size)

        if distributed.rank() > 0:
            fit(trainer, fold, shared_predictor, resume=resume, report=lambda epoch: None)
            return ""
        with atomic_folder(paths.curves) as curves:
            with _epoch_log(curves) as report:
                fitted = fit(trainer, fold, shared_predictor, resume=resume, report=report)
            _write_test_curve(curves / "test.csv", fitted)
        predictor = Predictor(network, normalise, settings.batch_size)
        reference = module_features.describe(network, predictor.batches(fold.train))
        write_outputs(
            paths,
            network,
            spec,
            fold,
            _predict_choices(predictor, fold, fitted.test_monitor, reference),
            attention=predictor.attention(fold.test) if "frames" in spec.inputs else None,  # on frames it is shown
            reference=reference,
            epochs=len(fitted.epochs),
            selected_epoch=fitted.selected_epoch,
            best_test_epoch=fitted.test_monitor.best_epoch,
            record=record,
        )
        resume.delete()
    return devices.describe(device)


def new_trainer(
    network: nn.Module,
    fold: FoldDatasets,
    settings: TrainingSettings,
    augment: dict[str, Any],
    normalise: Normalise,
) -> Trainer:
    """Create the trainer of a network.

    Args:
        network: on the device of ``normalise``.
        fold: its ``train`` is trained on.
        settings: how to train.
        augment: ``train.augment`` of params.yaml; modality dropout is for networks that read both modalities.
        normalise: moves batches to the device and normalises their frames.
    """
    if settings.compile:
        devices.check_compiler(normalise.device)
    if not missing_modality.removable(network):
        augment = {**augment, "modality_dropout": 0.0}
    return Trainer(network, fold.train, settings, augment=Augment(**augment), normalise=normalise, seed=fold.trial.seed)


@contextmanager
def _epoch_log(folder: Path) -> Iterator[Callable[[Epoch], None]]:
    """Print the figures of each epoch, and write them to DVCLive's files in ``folder``."""
    with Live(str(folder), dvcyaml=False, save_dvc_exp=False) as live:

        def report(epoch: Epoch) -> None:
            live.log_metric("train/loss", epoch.train_loss)
            live.log_metric("validation/loss", epoch.validation_loss)
            live.log_metric("validation/accuracy", epoch.validation_accuracy)
            live.next_step()
            print(
                f"epoch {epoch.number:3d}  train loss {epoch.train_loss:.3f}  "
                f"validation loss {epoch.validation_loss:.3f}  accuracy {epoch.validation_accuracy:6.1%}",
                flush=True,
            )

        yield report


def _predict_choices(
    predictor: Predictor, fold: FoldDatasets, monitor: TestMonitor, reference: Reference
) -> dict[str, LogProbabilities]:
    """Predict with the selected weights; add the predictions that were kept of other epochs."""
    assert monitor.last is not None and monitor.best is not None
    choices = {
        "selected": predictor.predict(fold.test),
        "last_epoch": monitor.last,
        "best_test_epoch": monitor.best,
        **missing_modality.predict_without_each(predictor, fold.test, reference.means),
    }
    if fold.validation is not None:
        choices[VALIDATION] = predictor.predict(fold.validation)
    return choices


def _write_test_curve(path: Path, fitted: Fit) -> None:
    """Write the test accuracy of each epoch apart from DVCLive's files, so that nothing is selected by it."""
    numbers = [epoch.number for epoch in fitted.epochs]
    table = pd.DataFrame({"epoch": numbers, "accuracy": fitted.test_monitor.accuracies})
    table.to_csv(path, index=False, lineterminator="\n")
