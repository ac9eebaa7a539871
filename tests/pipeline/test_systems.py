"""Every system, every ablation and imported checkpoints: the real jobs and the real table, in one process."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from cfnsr import config
from cfnsr.models import fusion
from tests.conftest import made_once
from tests.support import published
from tests.support.repository import Repository

ABLATIONS = ["cfnsr_no_residual", "cfnsr_no_self_attention", "cfnsr_no_cross_modal"]
FOLDS = ("fold_1", "fold_2")


def run_jobs(repository: Repository, stage: str, names: list[str], suffix: str = "") -> None:
    for name in names:
        for fold in FOLDS:
            command = f"python -m stages.{stage} {name} held_out {fold} 1234 data/studio {suffix}"
            repository.stage(command.format(name=name, fold=fold))


def train_all(folder: Path, finished: Repository) -> None:
    repository = finished.copy(folder)
    trains = {name: fusion.trains(name) for name in fusion.names()}
    combine = [name for name in trains if not trains[name]]
    train = [name for name in trains if trains[name]]
    repository.list_rows(combine=combine, train=train, ablate=ABLATIONS)
    repository.cli("check")
    run_jobs(repository, "combine", [name for name in combine if name != "averaging"])
    run_jobs(repository, "train", [name for name in train if name != "cfnsr"])
    for name in ABLATIONS:
        run_jobs(repository, "train", ["cfnsr"], f"--variant {name}")
    repository.stage("python -m stages.best data/studio")
    repository.stage("python -m stages.report data/studio metrics/studio")


@pytest.fixture(scope="session")
def repository(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The finished run, to which all other systems and ablations were added."""
    return Repository(made_once(tmp_path_factory, "all-systems", lambda folder: train_all(folder, finished)))


def test_every_system_is_in_the_table(repository: Repository) -> None:
    rows = config.load(repository.folder / "params.yaml").run.rows
    results = pd.read_csv(repository.folder / "metrics/studio/results.csv").set_index("name")
    assert results.index.tolist() == [name for _, name in rows]
    assert set(results.index) == {"video", "audio", *fusion.names(), *ABLATIONS}
    assert results["accuracy"].between(0, 1).all()
    alone = results["reads"].isin(["audio", "video"])
    assert results.index[alone].tolist() == ["video", "audio", "eranns"]
    for column in ("without_video", "without_audio"):
        assert (results[column].isna() == alone).all()
    parameters = results["parameters"]
    assert parameters["cfnsr_no_cross_modal"] < parameters["cfnsr_no_self_attention"] < parameters["cfnsr"]
    assert parameters["cfnsr_no_residual"] == parameters["cfnsr"]
    printed = repository.cli("results")
    assert "audio, eranns" in printed and "mcbp is a reconstruction" in printed


def test_imported_checkpoints_are_evaluated_untrained(finished: Repository, tmp_path: Path) -> None:
    repository = finished.copy(tmp_path / "repository")
    names = ["video", "audio", "cfnsr"]
    repository.list_rows(pretrain=[], combine=["multiplication"], train=[], evaluate=names)
    printed = repository.cli("check", status=1)
    assert "run.evaluate names video, and checkpoints/video/fold_1.safetensors is missing. Write it with" in printed
    assert "checkpoints/video/fold_1.safetensors" in repository.dvc("repro", status=255)
    for number, fold in enumerate(FOLDS):
        for name in names:
            file = f"{name}_best_{number}.pth"
            torch.save(published.state(name, seed=0), repository.folder / file)
            out = f"checkpoints/{name}/{fold}.safetensors"
            repository.cli("import-checkpoint", "--system", name, "--fold", fold, file, out)
            (repository.folder / file).unlink()
    repository.cli("check")
    run_jobs(repository, "evaluate", names, "--checkpoint checkpoints/{name}/{fold}.safetensors")
    run_jobs(repository, "combine", ["multiplication"])
    repository.stage("python -m stages.best data/studio")
    repository.stage("python -m stages.report data/studio metrics/studio")
    results = pd.read_csv(repository.folder / "metrics/studio/results.csv").set_index("name")
    assert results["parameters"].to_dict() == {
        "video": 25_882_056,
        "audio": 34_024,
        "cfnsr": 26_301_417,
        "multiplication": 25_916_080,
    }
    assert results["best_test_epoch"].isna().all()
    assert results["protocol"].unique().tolist() == ["imported"]
    printed = " ".join(repository.cli("results").split())  # notes are broken into lines
    assert "not trained here" in printed and "cfnsr: fold_1 cfnsr_best_0.pth (sha256 " in printed
    assert "extract.video.frames was 30, is 4, extract.video.side_px was 224, is 64" in printed
    assert "│ cfnsr, imported " in printed
    assert "Seed 1234" in printed
