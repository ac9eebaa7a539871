"""Whatever kills a training, the next one goes on from its last epoch and ends in the same bytes."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from cfnsr.corpora.filenames import LABELS
from cfnsr.data import dataset
from cfnsr.data.dataset import Clips
from cfnsr.evaluation import device
from cfnsr.evaluation import predict as predictions
from cfnsr.models.types import Batch
from cfnsr.training import loop
from cfnsr.training.resume import ResumeCheckpoint, fingerprint
from cfnsr.training.settings import Recipe
from tests.support import corpus
from tests.support.repository import Repository
from tests.test_train import CPU, PREPARE, RECIPE, audio_network, lesson

SEED = random.randrange(10**6)


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus.write(tmp_path_factory.mktemp("shards"))


def predict(network: nn.Module, batches: DataLoader[Batch]) -> predictions.LogProbabilities:
    return predictions.predict(network, batches, PREPARE)


class Outcome:
    """A training that is killed before an epoch's end is reported, as often as asked, and started again."""

    def __init__(
        self, folder: Path, where: Path, recipe: Recipe, kills: tuple[int, ...], shared_name: str = "a"
    ) -> None:
        self.told: list[loop.Epoch] = []
        self.starts = 0
        left = list(kills)
        while True:
            device.make_reproducible(11 + self.starts, 1, CPU)  # what is left of chance must not matter
            if not self.starts:
                torch.manual_seed(11)
            network = audio_network()
            torch.manual_seed(11 if not self.starts else 99)
            clips = Clips(folder, ["02"], list(LABELS))
            test_monitor = predict.TestMonitor(partial(predict, batches=dataset.in_order(clips, 4)), clips.classes)
            self.told.clear()

            def report(epoch: loop.Epoch) -> None:
                self.told.append(epoch)
                if left and epoch.number == left[0]:
                    left.pop(0)
                    raise KilledError

            self.starts += 1
            try:
                self.kept, self.last = loop.fit(
                    lesson(folder, network, recipe),
                    loop.Validation(test_monitor.look, clips.classes),
                    epochs=recipe.epochs,
                    patience=recipe.patience,
                    test_monitor=test_monitor,
                    report=report,
                    saved=ResumeCheckpoint(where, shared_name),
                )
            except KilledError:
                continue
            self.network, self.test_monitor = network, test_monitor
            return


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "bf16", "schedule": "cosine", "warmup_epochs": 1, "accumulate": 3},
        {"precision": "fp16", "clip_norm": 0.5, "label_smoothing": 0.1, "class_weights": "balanced"},
    ],
    ids=["plain", "cosine", "fp16"],
)
def test_a_killed_training_ends_in_the_same_weights_figures_and_predictions(
    folder: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    recipe = replace(RECIPE, epochs=6, **changes)
    whole = Outcome(folder, tmp_path / "whole", recipe, ())
    broken = Outcome(folder, tmp_path / "broken", recipe, (1, 2, 4, 6))
    assert (whole.starts, broken.starts) == (1, 5)
    assert broken.told == whole.told and (broken.kept, broken.last) == (whole.kept, whole.last)
    assert same(broken.network.state_dict(), whole.network.state_dict())
    assert broken.test_monitor.accuracies == whole.test_monitor.accuracies
    assert broken.test_monitor.best_epoch == whole.test_monitor.best_epoch
    for name in ("best", "last_epoch"):
        assert (getattr(broken.test_monitor, name) == getattr(whole.test_monitor, name)).all()


def test_patience_counts_across_kills(folder: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=40, patience=2, learning_rate=0.02)
    whole = Outcome(folder, tmp_path / "whole", recipe, ())
    assert whole.last < 40
    broken = Outcome(folder, tmp_path / "broken", recipe, tuple(range(1, whole.last + 1)))
    assert (broken.kept, broken.last) == (whole.kept, whole.last)


def test_only_the_same_standing_is_gone_on_from_and_others_are_pruned(tmp_path: Path) -> None:
    old = ResumeCheckpoint(tmp_path / "cell", "old")
    old.save({"history": [1]})
    assert ResumeCheckpoint(tmp_path / "cell", "old").load() == {"history": [1]}
    new = ResumeCheckpoint(tmp_path / "cell", "new")
    assert new.load() is None and old.load() is None and not list((tmp_path / "cell").iterdir())
    new.save({"history": [2]})
    new.drop()
    assert not list(tmp_path.iterdir())


def test_where_there_is_no_room_training_goes_on_without(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    standing = ResumeCheckpoint(small_disk / "cell", "one")
    standing.save({"weights": torch.ones(1000)})
    before = (small_disk / "cell/one.pt").read_bytes()
    standing.save({"weights": torch.ones(10**6)})
    assert "one.pt cannot be written (No space left on device)" in capsys.readouterr().out
    assert [path.read_bytes() for path in (small_disk / "cell").iterdir()] == [before]


def test_a_standing_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    standing = ResumeCheckpoint(tmp_path, "one")
    standing.save({"history": [1]})

    def cut(path: Path, data: Any) -> int:
        with path.open("wb") as file:
            file.write(bytes(data)[:100])
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(Path, "write_bytes", cut)
        standing.save({"history": [1, 2]})
    assert standing.load() == {"history": [1]}


def test_a_standing_that_cannot_be_read_is_told_and_started_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    standing = ResumeCheckpoint(tmp_path, "one")
    standing.save({"weights": torch.ones(1000)})
    path = tmp_path / "one.pt"
    path.write_bytes(path.read_bytes()[:700])
    assert standing.load() is None
    assert "one.pt cannot be read" in capsys.readouterr().out


def test_a_standing_runs_no_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "harm",)

    torch.save({"harm": Harmful()}, tmp_path / "one.pt")
    assert ResumeCheckpoint(tmp_path, "one").load() is None
    assert not (tmp_path / "harm").exists() and "cannot be read" in capsys.readouterr().out


def test_the_fingerprint_follows_weights_params_and_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    weights = {"a": torch.ones(3), "b": torch.zeros(2)}
    first = fingerprint(weights, {"rate": 0.1}, "data")
    assert first == fingerprint(dict(reversed(weights.items())), {"rate": 0.1}, "data")
    code = tmp_path / "train.py"
    code.write_bytes(Path(loop.__file__).read_bytes() + b"\n")
    assert first != fingerprint({**weights, "a": torch.zeros(3)}, {"rate": 0.1}, "data")
    assert first != fingerprint(weights, {"rate": 0.2}, "data")
    assert first != fingerprint(weights, {"rate": 0.1}, "other data")
    monkeypatch.setattr(loop, "__file__", str(code))
    assert first != fingerprint(weights, {"rate": 0.1}, "data")


def test_ten_kills_at_random_moments_end_in_the_same_bytes(finished: Repository, tmp_path: Path) -> None:
    """A real cell of a tiny run, with more epochs, its process killed wherever it happens to be."""
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    there = finished.copy(tmp_path / "there")
    text = (there.folder / "params.yaml").read_text()
    head, tail = text.split("\npretrain:\n")
    tail = tail.replace("    epochs: 2\n", "    epochs: 30\n", 2)
    (there.folder / "params.yaml").write_text(f"{head}\npretrain:\n{tail}")

    def command(where: Path) -> list[str]:
        outs = ["model", "cell.json", "predictions.parquet", "curves"]
        known = ["video", "held_out", "fold_1", "1234", "data/studio/shards", "data/studio/manifest.json"]
        return ["python", "-m", "stages.pretrain", *known, *(str(where / out) for out in outs)]

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    printed = there.run(*command(whole))
    assert "epoch  30" in printed and "goes on" not in printed
    assert not (there.folder / "data/.resume").exists() or not list((there.folder / "data/.resume").rglob("*.pt"))
    resumed = 0
    for _ in range(10):
        process = there.start(*command(broken))
        assert process.stdout is not None
        for line in process.stdout:  # wait for the first sign of work, then strike at any moment
            resumed += "goes on" in line
            if "epoch" in line:
                break
        time.sleep(chance.uniform(0, 0.6))
        process.kill()
        process.communicate()
    printed = there.run(*command(broken))
    assert "goes on from data/.resume" in printed and resumed >= 1
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(broken) for path in broken.rglob("*") if path.is_file())
    for name in files:
        assert (whole / name).read_bytes() == (broken / name).read_bytes(), name
    assert not list((there.folder / "data/.resume").rglob("*.pt"))
