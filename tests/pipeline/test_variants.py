"""What people do with a finished pipeline: vary it, compare, queue, switch and switch back. With stubs."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.support.repository import Repository

CFNSR = ["train@studio-held_out-cfnsr-fold_1-1234", "train@studio-held_out-cfnsr-fold_2-1234"]


@pytest.fixture(scope="module")
def varied(stubbed: Repository, tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, str]:
    """A repository in which one experiment has run, and what it printed."""
    repository = stubbed.copy(tmp_path_factory.mktemp("varied") / "repository")
    return repository, repository.dvc("exp", "run", "-n", "narrow", "-S", "systems.cfnsr.options.heads=4")


def test_an_experiment_runs_one_systems_jobs(varied: tuple[Repository, str]) -> None:
    repository, printed = varied
    assert re.findall(r"^Running stage '(.+)':", printed, re.MULTILINE) == [
        "params",
        *CFNSR,
        "best@studio",
        "report@studio",
    ]
    assert "heads: 4 " in (repository.folder / "params.yaml").read_text()
    shown = list(csv.DictReader(io.StringIO(repository.dvc("exp", "show", "--csv"))))
    (line,) = [row for row in shown if row["Experiment"] == "narrow"]
    (base,) = [row for row in shown if row["Experiment"] == "" and row["rev"] == "main"]
    assert (line["systems.cfnsr.options.heads"], base["systems.cfnsr.options.heads"]) == ("4", "8")
    measured = json.loads(repository.results()["studio/metrics.json"])["accuracy"]
    assert list(measured) == ["video", "audio", "averaging", "cfnsr"]
    for system, accuracy in measured.items():
        assert float(line[f"accuracy.{system}"]) == accuracy


def test_params_metrics_and_plots_are_compared(varied: tuple[Repository, str]) -> None:
    repository, _ = varied
    changed = json.loads(repository.dvc("params", "diff", "--json"))
    assert changed == {"params.yaml": {"systems.cfnsr.options.heads": {"old": 8, "new": 4, "diff": -4}}}
    compared = json.loads(repository.dvc("metrics", "diff", "--all", "--json"))
    figures = compared["metrics/studio/metrics.json"]
    rows = [f"{kind}.{name}" for kind in ("accuracy", "uar") for name in ("video", "audio", "averaging", "cfnsr")]
    assert set(figures) == {*rows, "clips", "skipped"}
    for name, figure in figures.items():
        if not name.endswith(".cfnsr"):
            assert figure["old"] == figure["new"]
    repository.dvc("plots", "diff", "HEAD", "-o", "drawn")
    page = (repository.folder / "drawn/index.html").read_text()
    assert '"rev": "HEAD"' in page and '"rev": "workspace"' in page
    for name in ("confusion/cfnsr.csv", "curves/cfnsr.csv", "results.csv"):
        assert name.replace("/", "_") in page or name in page


def test_two_workers_run_the_queue(stubbed: Repository, tmp_path: Path) -> None:
    repository = stubbed.copy(tmp_path / "repository")
    for heads in (2, 4):
        repository.dvc("exp", "run", "--queue", "-n", f"heads-{heads}", "-S", f"systems.cfnsr.options.heads={heads}")
    # Neither of the two goes on before the other has come as far: they run side by side.
    holds = [repository.hold("train", number) for number in range(2)]
    workers = repository.start("dvc", "exp", "run", "--run-all", "-j", "2")
    first, second = (hold.process(None) for hold in holds)
    assert first.cwd() != second.cwd() and str(repository.folder) in first.cwd()
    for hold in holds:
        hold.release()
    printed, _ = workers.communicate()  # the workers keep its output open until they end
    assert not re.search(r"Traceback|^ERROR: |Failed", printed, re.MULTILINE), printed
    status = repository.dvc("queue", "status")
    assert len(re.findall(r"heads-\d .*Success", status)) == 2, status
    assert repository.lock == stubbed.lock and repository.results() == stubbed.results()
    shown = csv.DictReader(io.StringIO(repository.dvc("exp", "show", "--csv")))
    assert {row["systems.cfnsr.options.heads"] for row in shown if row["Experiment"]} == {"2", "4"}
    repository.dvc("exp", "apply", "heads-2")
    assert not repository.repro()


def test_a_preset_and_back_runs_nothing(stubbed: Repository, tmp_path: Path) -> None:
    repository = stubbed.copy(tmp_path / "repository")
    tiny = (repository.folder / "presets/tiny.yaml").read_text()
    (repository.folder / "presets/tight.yaml").write_text(
        tiny.replace("\nextract:\n", "\ncrop: {margin: 0.5}\nextract:\n")
    )
    repository.dvc("commit", "-f", "report")  # that presets are a dep of the report is another test's point
    before = repository.entries()
    params = (repository.folder / "params.yaml").read_bytes()
    repository.cli("preset", "tight")
    again = [f"{stage}@studio-0{actor}" for actor in (1, 2, 3) for stage in ("crop", "extract")]
    assert sorted(repository.repro("check")) == sorted([*again, "check@studio"])
    repository.cli("preset", "tiny")
    assert (repository.folder / "params.yaml").read_bytes() == params
    assert not repository.repro()
    assert repository.entries() == before and repository.results() == stubbed.results()


def test_another_corpus_and_back_runs_nothing(stubbed: Repository, tmp_path: Path) -> None:
    """A second corpus, which is the first under another name, is added as a user would add one."""
    repository = stubbed.copy(tmp_path / "repository")
    corpora = repository.folder / "cfnsr/corpora"
    shutil.copytree(corpora / "studio", corpora / "mirror")
    repository.edit('corpus: Literal["studio"', 'corpus: Literal["mirror", "studio"', "cfnsr/config/__init__.py")
    repository.edit(
        "class Corpora(Section):\n", "class Corpora(Section):\n    mirror: Studio\n", "cfnsr/config/data.py"
    )
    text = (repository.folder / "params.yaml").read_text()
    section = text.split("corpora:\n  studio:\n")[1].split("\n  ravdess:")[0]
    repository.edit("corpora:\n", f"corpora:\n  mirror:\n{section}\n")
    studio, results = repository.entries(), repository.results()
    repository.edit("\ncorpus: studio\n", "\ncorpus: mirror\n")
    ran = repository.repro("check")
    per_actor = ("download", "landmarks", "crop", "extract")
    of_actors = [f"{stage}@mirror-0{actor}" for stage in per_actor for actor in (1, 2, 3)]
    assert sorted(ran) == sorted([*of_actors, "published_landmarks@mirror", "check@mirror"])
    repository.edit("\ncorpus: mirror\n", "\ncorpus: studio\n")
    assert not repository.repro()
    # `params` has checked the edited file.
    assert {**repository.entries(), "params": None} == {**studio, "params": None}
    assert {name: text for name, text in repository.results().items() if name.startswith("studio/")} == results
    repository.edit("\ncorpus: studio\n", "\ncorpus: mirror\n")
    assert not repository.repro("check")


def test_a_launch_of_two_at_a_time_ends_alike(stubbed: Repository, tmp_path: Path) -> None:
    repository = stubbed.copy(tmp_path / "repository")
    repository.edit("      heads: 8 ", "      heads: 4 ")
    serial = repository.copy(tmp_path / "serial")
    holds = [repository.hold("train", number) for number in range(2)]
    launch = repository.start("cfnsr", "launch", "--jobs", "2")
    for hold in holds:  # both are there before one goes on
        hold.process(launch)
    for hold in holds:
        hold.release()
    printed, _ = launch.communicate()
    assert launch.returncode == 0, printed
    serial.repro()
    assert repository.entries() == serial.entries() and repository.results() == serial.results()
    assert not repository.repro() and not repository.corrupt()
