from __future__ import annotations

import gc
import json
import shutil
from pathlib import Path

import pytest

from cfnsr import config
from cfnsr.errors import CfnsrError
from cfnsr.runtime import dvc_repository
from cfnsr.runtime.dvc_repository import Plan
from tests.support.jobs import AUDIO, FUSED, STAGES, JobRepository


@pytest.fixture(scope="module")
def finished(job_repository: JobRepository, tmp_path_factory: pytest.TempPathFactory) -> JobRepository:
    repository = job_repository.copy(tmp_path_factory.mktemp("finished") / "repository")
    repository.dvc("repro")
    return repository


@pytest.fixture
def repository(finished: JobRepository, tmp_path: Path) -> JobRepository:
    return finished.copy(tmp_path / "repository")


def test_stages_are_named_and_counted_as_dvc_does(repository: JobRepository) -> None:
    assert dvc_repository.stage_names(repository.folder) == [
        "check",
        "pretrain",
        "train",
        "combine",
        "ablate",
        "evaluate",
        *("features", "probe", "sequence", "train_frozen", "fuse"),
    ]
    listed = repository.dvc("stage", "list", "--name-only").split()
    assert dvc_repository.stage_count(repository.folder, {}) == len(listed) == 4


def test_lists_and_sections_of_params_are_counted(root: Path) -> None:
    values = config.load(root / "params.yaml").model_dump()
    speakers, jobs, single = 4 * 8, 4 * (2 + 1 + 1), 5  # params, published_landmarks, check, best, report are single
    assert dvc_repository.stage_count(root, values) == speakers + jobs + single


def test_a_folder_without_dvc_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match=r"dvc\.yaml: cannot be read .*Run from the repository's root"):
        dvc_repository.stage_names(tmp_path)


@pytest.mark.parametrize("text", ["stages: [\n", "stage: {}\n", "- stages\n", "", "stages:\n"])
def test_a_faulty_dvc_yaml_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "dvc.yaml").write_text(text)
    with pytest.raises(CfnsrError, match=r"dvc\.yaml: is faulty .*git checkout dvc\.yaml"):
        dvc_repository.stage_names(tmp_path)


def test_only_stale_jobs_are_planned_with_their_needs(repository: JobRepository) -> None:
    assert dvc_repository.plan(repository.folder, STAGES) == Plan({}, 3)
    repository.change("input-audio")
    assert dvc_repository.plan(repository.folder, STAGES) == Plan({AUDIO: set(), FUSED: {AUDIO}}, 1)
    assert dvc_repository.plan(repository.folder, ["pretrain"]) == Plan({AUDIO: set()}, 1)


def test_stages_that_delete_run_apart_from_readers_and_writers() -> None:
    jobs = ["best@studio", "check@studio", "features@studio-whisper_tiny-01", "report@studio", "train@studio-cfnsr"]
    pairs = {("features@studio-whisper_tiny-01", "check@studio"), ("report@studio", "best@studio")}
    assert set(dvc_repository.not_together(jobs)) == pairs


def test_stale_data_above_the_jobs_is_refused(repository: JobRepository) -> None:
    repository.change("input-audio")
    repository.change("input-video")
    with pytest.raises(CfnsrError, match=r"pretrain@\w+ is stale \(and 1 more\)\. Run `dvc repro pretrain` first"):
        dvc_repository.plan(repository.folder, ["train"])
    repository.change("input")
    with pytest.raises(CfnsrError, match=r"check is stale \(and 0 more\)\. Run `dvc repro check` first"):
        dvc_repository.plan(repository.folder, STAGES)


def test_an_unknown_stage_names_the_known_ones(repository: JobRepository) -> None:
    with pytest.raises(CfnsrError, match=r"has no stage trian\. Choose from check, pretrain, train, combine"):
        dvc_repository.plan(repository.folder, ["trian"])
    assert gc.isenabled()  # which was off while DVC read its files


def test_a_folder_without_dvc_is_refused(tmp_path: Path, root: Path) -> None:
    shutil.copy(root / "dvc.yaml", tmp_path)
    with pytest.raises(CfnsrError, match=r"is not a DVC repository\. Run from the repository's root"):
        dvc_repository.plan(tmp_path, ["train"])


def test_stages_that_dvc_cannot_read_are_refused(repository: JobRepository) -> None:
    (repository.folder / "dvc.yaml").write_text("stages: {train: {comand: echo}}\n")
    with pytest.raises(CfnsrError, match=r"DVC cannot tell what is stale: .*Run `cfnsr check`"):
        dvc_repository.plan(repository.folder, ["train"])


def test_an_incomplete_lock_is_found(repository: JobRepository) -> None:
    lock = repository.folder / "dvc.lock"
    text = lock.read_text()
    dvc_repository.check_files(repository.folder)
    for end in (text.index("md5: ") + 2, text.rindex("  outs:") + 6):
        lock.write_text(text[:end])
        with pytest.raises(CfnsrError, match=r"dvc\.lock: is incomplete .*Run `git checkout dvc\.lock`"):
            dvc_repository.check_files(repository.folder)


def test_an_incomplete_list_of_processes_is_found(repository: JobRepository) -> None:
    processes = repository.folder / ".dvc/tmp/rwlock"
    processes.write_text(json.dumps({"read": {}})[:-2])
    with pytest.raises(CfnsrError, match=r"rwlock: is incomplete .*Delete it once no DVC runs here"):
        dvc_repository.check_files(repository.folder)
