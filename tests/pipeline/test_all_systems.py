"""Through a real DVC: every system, a tenth that a test writes, ablations, and imported checkpoints."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import torch

from cfnsr.models import fusion
from tests.support import published, recorded
from tests.support.repository import Repository

pytestmark = pytest.mark.xdist_group("all systems")

TENTH = '''
"""The louder one: whichever of the two predictions is surer."""

import torch
from torch import nn

from cfnsr.models.publication import Publication
from cfnsr.models.types import Prediction


class Fusion(nn.Module):
    publication = Publication(fusion="decision")
    trains = True
    features = {"video": ("video",), "audio": ("audio",)}

    def __init__(self, video, audio, classes, *, gain: float):
        super().__init__()
        self.video, self.audio = video, audio
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, frames, mel, mfcc):
        return Prediction((self.gain * torch.maximum(self.video(frames), self.audio(mfcc))).log_softmax(dim=1))
'''
SECTION = """
  louder:
    options:
      gain: 1.5
    training:
      epochs: 2
      batch_size: 16
      learning_rate: 0.001
      weight_decay: 0.0
"""
ABLATIONS = ["cfnsr_no_residual", "cfnsr_no_self_attention", "cfnsr_no_cross_modal"]


def listed(key: str, names: list[str]) -> str:
    return f"  {key}:\n" + "".join(f"    - {name}\n" for name in names)


@pytest.fixture(scope="module")
def repository(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The finished run, to which all other systems were added, a tenth among them."""
    there = finished.copy(tmp_path_factory.mktemp("all") / "there")
    (there.folder / "cfnsr/models/fusion/louder.py").write_text(TENTH)
    path = there.folder / "params.yaml"
    text = path.read_text().replace("\nsystems:\n", f"\nsystems:{SECTION}")
    text = re.sub(r"  train: .*\n(    - .*\n)+", listed("train", [*fusion.names(), "louder"]), text)
    path.write_text(text.replace("  ablate: []", listed("ablate", ABLATIONS).rstrip()))
    there.run("cfnsr", "check")
    ran = there.repro()
    assert [name for name in ran if not name.startswith(("train@", "ablate@"))] == ["best@studio", "report@studio"]
    assert not [name for name in ran if "-cfnsr-" in name or "averaging" in name], "these had run before"
    return there


def test_every_row_is_in_the_table(repository: Repository) -> None:
    results = pd.read_csv(repository.folder / "metrics/studio/results.csv").set_index("name")
    assert results.index.tolist() == ["video", "audio", *fusion.names(), "louder", *ABLATIONS]
    assert results["accuracy"].between(0, 1).all()
    alone = results["reads"].isin(["audio", "video"])
    assert results.index[alone].tolist() == ["video", "audio", "eranns"]
    for column in ("without_video", "without_audio"):
        assert (results[column].isna() == alone).all()
    parameters = results["parameters"]
    assert parameters["cfnsr_no_cross_modal"] < parameters["cfnsr_no_self_attention"] < parameters["cfnsr"]
    assert parameters["cfnsr_no_residual"] == parameters["cfnsr"]
    told = repository.run("cfnsr", "results")
    assert "Voice alone: audio, eranns." in told and "mcbp is a reconstruction" in told


def test_a_change_of_the_tenth_system_runs_its_cells_alone(repository: Repository) -> None:
    assert not repository.repro()
    line = next(line for line in repository.run("cfnsr", "models").splitlines() if "│ louder " in line)
    assert line.count("–") == 3, line
    repository.edit("gain: 1.5", "gain: 2.5")
    path = repository.folder / "cfnsr/models/fusion/louder.py"
    cells = {f"train@studio-held_out-louder-{fold}-1234" for fold in ("fold_1", "fold_2")}
    assert set(repository.repro()) == {*cells, "best@studio", "report@studio"}
    path.write_text(f"{path.read_text()}\n")
    assert {name for name in repository.repro() if "train" in name} == cells


def test_a_systems_option_changes_its_ablations_too(repository: Repository) -> None:
    before = (repository.folder / "params.yaml").read_text()
    repository.edit("      feed_forward: 256 ", "      feed_forward: 128 ")
    try:
        changed = repository.run("dvc", "status")
        assert set(re.findall(r"(\w+@studio-\w+-\w+-fold_1-1234)", changed)) == {
            "train@studio-held_out-cfnsr-fold_1-1234",
            *(f"ablate@studio-held_out-{name}-fold_1-1234" for name in ABLATIONS),
        }
    finally:
        (repository.folder / "params.yaml").write_text(before)


def test_an_ablation_reads_what_it_declares(repository: Repository) -> None:
    recorded.hold(repository, "ablate@studio-held_out-cfnsr_no_residual-fold_1-1234")
    repository.run("dvc", "checkout", "--force")


def test_imported_checkpoints_are_evaluated_without_training(finished: Repository, tmp_path: Path) -> None:
    there = finished.copy(tmp_path / "there")
    path = there.folder / "params.yaml"
    text = re.sub(r"  pretrain:.*\n(    - .*\n)+", "  pretrain: []\n", path.read_text())
    text = re.sub(r"  train:  .*\n(    - .*\n)+", listed("train", ["multiplication"]), text)
    path.write_text(text.replace("  evaluate: []", listed("evaluate", ["video", "audio", "cfnsr"]).rstrip()))
    told = there.run("cfnsr", "check", status=1)
    assert "run.evaluate names video, and checkpoints/video/fold_1.safetensors is missing. Write it with" in told
    assert "checkpoints/video/fold_1.safetensors" in there.run("dvc", "repro", status=255)
    for number, fold in enumerate(("fold_1", "fold_2")):
        for name in ("video", "audio", "cfnsr"):
            file = there.folder / f"{name}_best_{number}.pth"
            torch.save(published.state(name, seed=0), file)
            out = f"checkpoints/{name}/{fold}.safetensors"
            there.run("cfnsr", "import-checkpoint", "--system", name, "--fold", fold, file.name, out)
            file.unlink()
    ran = there.repro()
    cells = {
        f"{prefix}-{fold}-1234"
        for prefix in (
            *(f"evaluate@studio-{name}" for name in ("video", "audio", "cfnsr")),
            "train@studio-held_out-multiplication",
        )
        for fold in ("fold_1", "fold_2")
    }
    assert set(ran) == cells | {"best@studio", "report@studio"}
    results = pd.read_csv(there.folder / "metrics/studio/results.csv").set_index("name")
    assert results["parameters"].to_dict() == {
        "video": 25_882_056,
        "audio": 34_024,
        "cfnsr": 26_301_417,
        "multiplication": 25_916_080,
    }
    assert results["best_test_epoch"].isna().all()
    told = " ".join(there.run("cfnsr", "results").split())  # notes are broken into lines
    assert "Imported, not trained here" in told and "cfnsr: fold_1 cfnsr_best_0.pth (sha256 " in told
    assert "made for other clips: extract.video.frames was 30, is 4, extract.video.side_px was 224, is 64" in told
    assert results["protocol"].unique().tolist() == ["imported"] and "│ cfnsr, imported " in told
    assert "Seed 1234" in told
    recorded.hold(there, "evaluate@studio-audio-fold_1-1234")
    assert "checkpoints" not in there.run("git", "status", "--porcelain")
