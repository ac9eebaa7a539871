"""Lists of params.yaml that grow and shrink: what they no longer list leaves no trace. With stubs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cfnsr.runtime import dvc_repository
from tests.support.repository import Repository

OF_ACTOR_04 = [f"{stage}@studio-04" for stage in ("download", "landmarks", "crop", "extract")]
STAGES = {"video": "pretrain", "audio": "pretrain", "averaging": "combine"}


def jobs(names: list[str], folds: list[str]) -> set[str]:
    return {f"{STAGES.get(name, 'train')}@studio-held_out-{name}-{fold}-1234" for name in names for fold in folds}


def test_grown_lists_run_what_is_new(stubbed: Repository, tmp_path: Path) -> None:
    """And lists that shrink run nothing but the stages that gather, and end as if they had never grown."""
    repository = stubbed.copy(tmp_path / "repository")
    repository.edit("  - '03'\n", "  - '03'\n  - '04'\n")
    repository.edit("  fold_2:\n    - '02'\n", "  fold_2:\n    - '02'\n  fold_3:\n    - '04'\n")
    grown = repository.repro()
    everything = jobs(["video", "audio", "averaging", "cfnsr"], ["fold_1", "fold_2", "fold_3"])
    assert sorted(grown[:4]) == sorted(OF_ACTOR_04) and grown[4] == "check@studio"
    assert set(grown[5:]) == everything | {"best@studio", "report@studio"}

    repository.run("git", "checkout", "-q", "params.yaml")
    # `best` deletes jobs too, so that the report reads what it has read before: DVC remembers that run.
    assert repository.repro() == ["check@studio", "best@studio"]
    assert repository.entries() == stubbed.entries() and repository.results() == stubbed.results()
    data = repository.folder / "data/studio"
    assert sorted(path.name for path in (data / "shards").iterdir()) == ["01", "02", "03"]
    for kind in ("jobs", "models"):
        assert {path.name for path in (data / kind).glob("held_out/*/*")} == {"fold_1", "fold_2"}

    repository.list_rows(combine=[])
    # `cfnsr launch` runs side by side what has no order, and `best` deletes what `report` would read.
    needs = dvc_repository.plan(repository.folder, dvc_repository.stage_names(repository.folder)).needs
    assert "best@studio" in needs["report@studio"]
    assert repository.repro() == ["best@studio", "report@studio"]
    for kind in ("jobs", "models"):
        assert {path.name for path in (data / kind / "held_out").iterdir()} == {"video", "audio", "cfnsr"}
    assert not [name for name, text in repository.results().items() if b"averaging" in text or "averaging" in name]
    repository.commit("smaller")

    # Where they never grew: of the same outputs, the stages that gather make the same.
    stranger = repository.clone(tmp_path / "stranger")
    stranger.dvc("config", "--local", "cache.dir", str(repository.folder / ".dvc/cache"))
    stranger.dvc("checkout")
    gather = ["check@studio", "best@studio", "report@studio"]
    assert stranger.repro("--force", "--single-item", *gather) == gather
    assert stranger.entries() == repository.entries() and stranger.results() == repository.results()
    assert not stranger.run("git", "status", "--porcelain")


@pytest.mark.parametrize(
    ("stage", "lost"),
    [
        ("check", "shards/02"),
        ("report", "jobs/held_out/cfnsr/fold_2/1234"),
        ("best", "jobs/held_out/video/fold_1/1234"),
        ("best", "models/held_out/cfnsr/fold_1/1234"),
    ],
)
def test_a_missing_output_fails_and_deletes_nothing(stubbed: Repository, tmp_path: Path, stage: str, lost: str) -> None:
    """In the real stages that gather."""
    repository = stubbed.copy(tmp_path / "repository")
    data = repository.folder / "data/studio"
    (data / lost).rename(tmp_path / "elsewhere")
    stray = data / Path(lost).parts[0] / "stray"
    stray.mkdir()
    printed = repository.stage(repository.entries()[f"{stage}@studio"]["cmd"], status=1)
    assert f"data/studio/{lost}: is missing. Run `dvc repro`" in printed and "Traceback" not in printed
    assert stray.exists()


def test_every_kind_of_job_is_wired(stubbed: Repository, tmp_path: Path) -> None:
    """Each list of `run`, under two protocols; a command of the docs runs two seeds."""
    repository = stubbed.copy(tmp_path / "repository")
    repository.list_rows(
        protocols=["held_out", "test_selected"],
        combine=["multiplication", "averaging"],
        ablate=["cfnsr_no_residual"],
        evaluate=["msaf"],
        probe=["whisper_tiny", "blendshapes"],
        sequence=["whisper_tiny", "blendshapes"],
        train_frozen=["{name: joined, system: concat, video: blendshapes, audio: whisper_tiny}"],
        fuse=["{name: two, first: audio, second: whisper_tiny, rule: averaging}"],
    )
    # Two corpora that were prepared before, and whose stages are no longer in params.yaml.
    repository.edit("    corpora: []  ", "    corpora: [emodb, crema_d]  ")
    repository.edit("    rows: []  ", "    rows: [whisper_tiny]  ")
    for other in ("emodb", "crema_d"):
        features = repository.folder / f"data/{other}/features/whisper_tiny/03/means.npy"
        features.parent.mkdir(parents=True)
        features.write_text(other)
        (repository.folder / f"data/{other}/manifest.json").write_text(other)
    for fold in ("fold_1", "fold_2"):
        checkpoint = repository.folder / f"checkpoints/msaf/{fold}.safetensors"
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write_text(fold)
    repository.run_all()
    assert not repository.repro()
    rows = {
        *((stage, "test_selected", name) for name, stage in {**STAGES, "cfnsr": "train"}.items()),
        *((stage, "held_out", name) for name, stage in {**STAGES, "cfnsr": "train"}.items()),
        *(("combine", protocol, "multiplication") for protocol in ("held_out", "test_selected")),
        *(("ablate", protocol, "cfnsr_no_residual") for protocol in ("held_out", "test_selected")),
        ("evaluate", "held_out", "msaf"),
        *(
            (stage, protocol, name)
            for protocol in ("held_out", "test_selected")
            for stage in ("probe", "sequence")
            for name in ("whisper_tiny", "blendshapes")
        ),
        *(
            (stage, protocol, "row0")
            for protocol in ("held_out", "test_selected")
            for stage in ("fuse", "train_frozen")
        ),
    }
    expected = {
        f"{stage}@studio-{protocol}-{name}-{fold}-1234"
        for stage, protocol, name in rows
        for fold in ("fold_1", "fold_2")
    }
    names = ("whisper_tiny", "blendshapes")
    expected |= {f"features@studio-{name}-{actor}" for name in names for actor in ("01", "02", "03")}
    expected |= {f"import_features@studio-whisper_tiny-{other}" for other in ("emodb", "crema_d")}
    expected |= {"cross@studio-whisper_tiny"}
    assert set(repository.stages) == expected | set(stubbed.stages)
    table = repository.results()["studio/results.csv"].decode()
    assert len(table.splitlines()) == 1 + len(rows)
    order = [line.split(",")[0] for line in table.splitlines()[1:14]]
    trained = ["video", "audio", "multiplication", "averaging", "cfnsr", "cfnsr_no_residual"]
    sequences = [f"{name}_sequence" for name in names]
    assert order == [*trained, "msaf", *names, *sequences, "joined", "two"]
    assert not (repository.folder / "data/studio/models/held_out/two").exists()
    # `best` and `report`, which delete what is not listed, know what has no fold.
    assert (repository.folder / "data/studio/jobs/cross_corpus/whisper_tiny/record.json").is_file()
    (cross,) = repository.results()["studio/cross.csv"].decode().splitlines()[1:]
    assert cross.startswith("whisper_tiny,")
    assert "checkpoints" not in repository.run("git", "status", "--porcelain")
