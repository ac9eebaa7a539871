"""The stages pretrain and train, from the command line to their files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from click import Command
from click.testing import CliRunner
from ruamel.yaml import YAML

from cfnsr.data.jobs import JobPaths
from cfnsr.models import checkpoint
from stages import pretrain, train
from tests.support import corpus
from tests.support.training import write_params

JOB = ("held_out", "fold_1", "7")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a corpus, a params.yaml of tiny sizes and both unimodal jobs of fold 1."""
    folder = tmp_path_factory.mktemp("data") / "made_up"
    corpus.write(folder / "shards")
    corpus.manifest(folder / "shards").write(folder / "manifest.json")
    write_params(folder / "params.yaml")
    for modality in ("video", "audio"):
        run(pretrain.main, modality, *JOB, str(folder), "--params", str(folder / "params.yaml"))
    return folder


def run(command: Command, *arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == status, result.output
    return result.output


def weights(folder: Path, name: str) -> Any:
    return checkpoint.load(JobPaths.of(folder, name, corpus.trial("fold_1")).checkpoint)


@pytest.mark.parametrize("frozen", [True, False])
def test_encoders_are_frozen_as_params_say(folder: Path, tmp_path: Path, frozen: bool) -> None:
    write_params(tmp_path / "params.yaml", **{"train.freeze_encoders": frozen})
    out = run(train.main, "cfnsr", *JOB, str(folder), "--params", str(tmp_path / "params.yaml"))
    assert out.count("epoch ") == 2
    system, video = weights(folder, "cfnsr"), weights(folder, "video").encoder.stages
    own = list(system.parameters())
    kept = [any(map(partial(torch.equal, value), own)) for value in video.parameters()]
    assert all(kept) if frozen else not any(kept)


def test_systems_have_modality_dropout(folder: Path, tmp_path: Path) -> None:
    trained = []
    for probability in (0.0, 1.0):
        write_params(tmp_path / "params.yaml", **{"train.augment.modality_dropout": probability})
        run(train.main, "cfnsr", *JOB, str(folder), "--params", str(tmp_path / "params.yaml"))
        trained.append(list(weights(folder, "cfnsr").parameters()))
    assert not all(map(torch.equal, *trained))


def test_variants_are_jobs_of_their_own(folder: Path) -> None:
    params = str(folder / "params.yaml")
    run(train.main, "cfnsr", *JOB, str(folder), "--params", params, "--variant", "cfnsr_no_cross_modal")
    spec = checkpoint.read_spec(JobPaths.of(folder, "cfnsr_no_cross_modal", corpus.trial("fold_1")).checkpoint)
    assert (spec.name, spec.options["cross_modal"]) == ("cfnsr", False)


def test_systems_without_training_are_rejected(folder: Path) -> None:
    printed = run(train.main, "averaging", *JOB, str(folder), "--params", str(folder / "params.yaml"), status=1)
    assert printed == "Error: systems.averaging: trains nothing. Add it to run.combine\n"


def test_pretrain_rejects_other_names(folder: Path) -> None:
    printed = run(pretrain.main, "cfnsr", *JOB, str(folder), "--params", str(folder / "params.yaml"), status=2)
    assert "'cfnsr' is not one of video, audio" in printed


def test_default_params_train_every_listed_row(root: Path) -> None:
    params = YAML(typ="safe").load(root / "params.yaml")
    assert all("training" in params["systems"][name] for name in params["run"]["train"])
