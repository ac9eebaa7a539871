"""A killed training resumes from its last epoch and ends in the same bytes."""

from __future__ import annotations

import errno
import hashlib
import io
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cfnsr.data.jobs import JobPaths
from cfnsr.evaluation import device
from cfnsr.evaluation.predict import Predictor
from cfnsr.training import loop
from cfnsr.training.loop import Epoch, Fit, fit
from cfnsr.training.resume import ResumeCheckpoint, fingerprint
from cfnsr.training.settings import TrainingSettings
from tests.support import corpus
from tests.support.networks import CPU, NORMALISE
from tests.support.processes import forkserver
from tests.support.training import SETTINGS, audio_network, fold_of, new_trainer, run_job

SEED = random.randrange(10**6)


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    corpus.write(folder / "shards")
    return folder


def train(
    folder: Path, resume: Path, settings: TrainingSettings, kills: tuple[int, ...] = ()
) -> tuple[Fit, list[Epoch], dict[str, torch.Tensor], int]:
    """Train; interrupt after each of the epochs ``kills`` is reported, and start again with other random states.

    Returns:
        The result, the epochs reported by the last start, the weights, and the number of starts.
    """
    left, starts = list(kills), 0
    while True:
        network, starts = audio_network(), starts + 1
        device.make_reproducible(10 + starts, 1, CPU)
        reported: list[Epoch] = []

        def report(epoch: Epoch, reported: list[Epoch] = reported) -> None:
            reported.append(epoch)
            if left and epoch.number == left[0]:
                left.pop(0)
                raise KilledError

        predictor, checkpoint = Predictor(network, NORMALISE, 4), ResumeCheckpoint(resume, "name")
        trainer, fold = new_trainer(folder / "shards", network, settings), fold_of(folder / "shards")
        try:
            fitted = fit(trainer, fold, predictor, resume=checkpoint, report=report)
        except KilledError:
            continue
        return fitted, reported, network.state_dict(), starts


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "bf16", "schedule": "cosine", "warmup_epochs": 1, "accumulate": 3},
        {"precision": "fp16", "clip_norm": 0.5, "label_smoothing": 0.1, "class_weights": "balanced"},
    ],
    ids=["plain", "cosine", "fp16"],
)
def test_resumed_trainings_end_alike(folder: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    settings = replace(SETTINGS, epochs=6, **changes)
    whole, reported, weights, starts = train(folder, tmp_path / "whole", settings)
    resumed, reported_again, weights_again, starts_again = train(folder, tmp_path / "resumed", settings, (1, 2, 4, 6))
    assert (starts, starts_again) == (1, 5)
    assert reported == reported_again == whole.epochs == resumed.epochs
    assert whole.selected_epoch == resumed.selected_epoch
    assert all(torch.equal(weights[name], weights_again[name]) for name in weights)
    first, second = whole.test_monitor, resumed.test_monitor
    assert (first.accuracies, first.best_epoch) == (second.accuracies, second.best_epoch)
    assert first.best is not None and (first.best == second.best).all()
    assert first.last is not None and (first.last == second.last).all()


def test_patience_counts_across_kills(folder: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=40, patience=2, learning_rate=0.02)
    whole, *_ = train(folder, tmp_path / "whole", settings)
    count = len(whole.epochs)
    assert count < 40
    resumed, *_ = train(folder, tmp_path / "resumed", settings, tuple(range(1, count + 1)))
    assert (resumed.selected_epoch, len(resumed.epochs)) == (whole.selected_epoch, count)


def train_in_process(folder: Path, out: Path) -> None:
    """Train a video network for four epochs; the target of a process that is killed."""
    torch.set_num_threads(1)
    run_job(folder, corpus.manifest(folder / "shards"), "video", out=out, training={"epochs": 4})


def test_ten_random_kills_end_in_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance, whole, killed = random.Random(SEED), tmp_path / "whole", tmp_path / "killed"
    processes = forkserver()

    def start(out: Path, target: Callable[..., object] = train_in_process) -> Any:
        process = processes.Process(target=target, args=(folder, out))
        process.start()
        return process

    start(whole, Path.joinpath).join()  # the first process waits until torch is imported
    began = time.monotonic()
    process = start(whole)
    process.join()
    duration, kills, resumes = time.monotonic() - began, 0, 0
    assert process.exitcode == 0
    paths = JobPaths.of(killed, "video", corpus.trial("fold_1"))
    while kills < 10 or not resumes:
        process = start(killed)
        process.join(timeout=chance.uniform(0.1, 1) * duration)
        process.kill()
        process.join()
        kills += process.exitcode != 0
        if any(paths.resume.glob("*.pt")):
            resumes += 1
        elif process.exitcode != 0:
            duration *= 1.2  # beside other load the first epoch may take longer than it did above
    process = start(killed)
    process.join()
    assert process.exitcode == 0
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert files and files == sorted(path.relative_to(killed) for path in killed.rglob("*") if path.is_file())
    for name in files:
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name


def test_states_with_another_fingerprint_are_deleted(tmp_path: Path) -> None:
    old = ResumeCheckpoint(tmp_path / "job", "old")
    old.save({"epochs": [1]})
    assert ResumeCheckpoint(tmp_path / "job", "old").load() == {"epochs": [1]}
    new = ResumeCheckpoint(tmp_path / "job", "new")
    assert new.load() is None and old.load() is None and not list((tmp_path / "job").iterdir())
    new.save({"epochs": [2]})
    new.delete()
    assert not list(tmp_path.iterdir())


def test_training_continues_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = ResumeCheckpoint(tmp_path / "job", "name")
    checkpoint.save({"weights": torch.ones(1000)})
    before = checkpoint.path.read_bytes()

    def fail(path: Path, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    checkpoint.save({"weights": torch.zeros(1000)})
    assert "name.pt cannot be written (No space left on device)" in capsys.readouterr().out
    assert [path.read_bytes() for path in (tmp_path / "job").iterdir()] == [before]


def test_states_are_written_whole_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = ResumeCheckpoint(tmp_path, "name")
    checkpoint.save({"epochs": [1]})

    def write_half(path: Path, data: Any) -> int:
        with path.open("wb") as file:
            file.write(bytes(data)[:100])
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(Path, "write_bytes", write_half)
        checkpoint.save({"epochs": [1, 2]})
    assert checkpoint.load() == {"epochs": [1]}


def test_broken_states_are_reported_and_ignored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = ResumeCheckpoint(tmp_path, "name")
    checkpoint.save({"weights": torch.ones(1000)})
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:700])
    assert checkpoint.load() is None
    assert "name.pt is damaged; training starts from the first epoch" in capsys.readouterr().out


@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_a_state_with_a_flipped_bit_is_ignored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], where: float
) -> None:
    checkpoint = ResumeCheckpoint(tmp_path, "name")
    checkpoint.save({"weights": torch.ones(1000)})
    content = bytearray(checkpoint.path.read_bytes())
    content[round(where * (len(content) - 1))] ^= 1
    checkpoint.path.write_bytes(content)
    assert checkpoint.load() is None and capsys.readouterr().out.count("is damaged") == 1
    checkpoint.save({"weights": torch.ones(1000)})
    assert checkpoint.load() is not None


def test_state_under_another_name_is_ignored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The state of another fold: its network has learned this fold's test speakers."""
    other, own = ResumeCheckpoint(tmp_path / "fold_1", "one"), ResumeCheckpoint(tmp_path / "fold_2", "two")
    for checkpoint in (other, own):
        checkpoint.path.parent.mkdir()
        checkpoint.save({"weights": torch.ones(1000)})
    own.path.write_bytes(other.path.read_bytes())
    assert own.load() is None and "two.pt is damaged" in capsys.readouterr().out


def test_folder_in_place_of_the_state_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = ResumeCheckpoint(tmp_path, "name")
    for name in ("name.pt", "old.pt"):
        (tmp_path / name).mkdir()
        assert checkpoint.load() is None and "cannot be read" in capsys.readouterr().out
    checkpoint.delete()
    assert "name.pt cannot be deleted" in capsys.readouterr().out


def test_loading_a_state_runs_no_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "harm",)

    data = io.BytesIO()
    torch.save({"harm": Harmful()}, data)
    (tmp_path / "name.pt").write_bytes(hashlib.sha256(b"name" + data.getvalue()).digest() + data.getvalue())
    assert ResumeCheckpoint(tmp_path, "name").load() is None
    assert not (tmp_path / "harm").exists() and "cannot be read" in capsys.readouterr().out


def test_fingerprint_follows_weights_params_and_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    weights = {"a": torch.ones(3), "b": torch.zeros(2)}
    first = fingerprint(weights, {"rate": 0.1}, "data")
    assert first == fingerprint(dict(reversed(weights.items())), {"rate": 0.1}, "data")
    assert first != fingerprint({**weights, "a": torch.zeros(3)}, {"rate": 0.1}, "data")
    assert first != fingerprint(weights, {"rate": 0.2}, "data")
    assert first != fingerprint(weights, {"rate": 0.1}, "other data")
    code = tmp_path / "loop.py"
    code.write_bytes(Path(loop.__file__).read_bytes() + b"\n")
    monkeypatch.setattr(loop, "__file__", str(code))
    assert first != fingerprint(weights, {"rate": 0.1}, "data")
