"""What people do with a pipeline that stands: run it again, vary it, compare, queue, switch and switch back."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.repository import Repository

CFNSR = ["train@studio-held_out-cfnsr-fold_1-1234", "train@studio-held_out-cfnsr-fold_2-1234"]


def test_running_everything_again_leaves_the_lock_byte_identical(finished: Repository, tmp_path: Path) -> None:
    again = finished.copy(tmp_path / "again")
    assert again.repro("-f") == again.stages
    assert again.lock == finished.lock and again.results() == finished.results()
    assert not again.run("git", "status", "--porcelain")


@pytest.fixture(scope="module")
def varied(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, str]:
    """A repository in which one experiment has run, and what it printed."""
    there = finished.copy(tmp_path_factory.mktemp("varied") / "there")
    return there, there.run("dvc", "exp", "run", "-n", "narrow", "-S", "systems.cfnsr.options.heads=4")


variants = pytest.mark.xdist_group("variants")


@variants
def test_an_experiment_on_one_system_runs_its_cells_and_the_report_alone(varied: tuple[Repository, str]) -> None:
    there, printed = varied
    assert re.findall(r"^Running stage '(.+)':", printed, re.MULTILINE) == [*CFNSR, "best@studio", "report@studio"]
    assert "heads: 4 " in (there.folder / "params.yaml").read_text()
    shown = list(csv.DictReader(io.StringIO(there.run("dvc", "exp", "show", "--csv"))))
    (line,) = [row for row in shown if row["Experiment"] == "narrow"]
    (base,) = [row for row in shown if row["Experiment"] == "" and row["rev"] == "main"]
    assert (line["systems.cfnsr.options.heads"], base["systems.cfnsr.options.heads"]) == ("4", "8")
    measured = json.loads(there.results()["studio/metrics.json"])["accuracy"]
    assert list(measured) == ["video", "audio", "averaging", "cfnsr"]
    for system, accuracy in measured.items():
        assert float(line[f"accuracy.{system}"]) == accuracy


@variants
def test_params_metrics_and_plots_are_compared(varied: tuple[Repository, str]) -> None:
    there, _ = varied
    changed = json.loads(there.run("dvc", "params", "diff", "--json"))
    assert changed == {"params.yaml": {"systems.cfnsr.options.heads": {"old": 8, "new": 4, "diff": -4}}}
    compared = json.loads(there.run("dvc", "metrics", "diff", "--all", "--json"))
    figures = compared["metrics/studio/metrics.json"]
    rows = [f"{kind}.{name}" for kind in ("accuracy", "uar") for name in ("video", "audio", "averaging", "cfnsr")]
    assert set(figures) == {*rows, "clips", "skipped"}
    for name, figure in figures.items():
        if not name.endswith(".cfnsr"):
            assert figure["old"] == figure["new"]
    there.run("dvc", "plots", "diff", "HEAD", "-o", "drawn")
    page = (there.folder / "drawn/index.html").read_text()
    assert '"rev": "HEAD"' in page and '"rev": "workspace"' in page
    for name in ("confusion/cfnsr.csv", "curves/cfnsr.csv", "results.csv"):
        assert name.replace("/", "_") in page or name in page


def test_two_workers_run_the_queue(finished: Repository, tmp_path: Path) -> None:
    there = finished.copy(tmp_path / "there")
    for heads in (2, 4):
        there.run("dvc", "exp", "run", "--queue", "-n", f"heads-{heads}", "-S", f"systems.cfnsr.options.heads={heads}")
    workers = there.start("dvc", "queue", "start", "-j", "2")  # they hold on to what it prints to
    at_once, until = 0, time.monotonic() + 300
    while time.monotonic() < until:
        status = there.run("dvc", "queue", "status")
        at_once = max(at_once, len(re.findall(r"heads-\d +\S.* Running", status)))
        if not re.search(r"Running|Queued", status):
            break
        time.sleep(0.5)
    assert len(re.findall(r"heads-\d .*Success", status)) == 2, status
    assert at_once == 2, "the two never ran side by side"
    workers.communicate()
    assert there.lock == finished.lock and there.results() == finished.results()
    shown = csv.DictReader(io.StringIO(there.run("dvc", "exp", "show", "--csv")))
    assert {row["systems.cfnsr.options.heads"] for row in shown if row["Experiment"]} == {"2", "4"}
    there.run("dvc", "exp", "apply", "heads-2")
    assert not there.repro()


def test_another_scale_and_back_runs_nothing_that_was_made_before(finished: Repository, tmp_path: Path) -> None:
    there = finished.copy(tmp_path / "there")
    there.edit("    side_px: 64", "    side_px: 48")
    assert there.repro("check@studio") == [*(f"extract@studio-0{actor}" for actor in (1, 2, 3)), "check@studio"]
    shard = np.load(there.folder / "data/studio/shards/01/frames.npy", mmap_mode="r")
    assert shard.shape[2:4] == (48, 48)
    there.edit("    side_px: 48", "    side_px: 64")
    assert not there.repro()
    assert there.lock == finished.lock and there.results() == finished.results()


def test_another_corpus_and_back_runs_nothing_that_was_made_before(finished: Repository, tmp_path: Path) -> None:
    """A second corpus, which is the first under another name, is added as a user would add one; that it changes no
    result of the first is told to DVC."""
    there = finished.copy(tmp_path / "there")
    (there.folder / "cfnsr/corpora/mirror").mkdir()
    (there.folder / "cfnsr/corpora/mirror/__init__.py").write_text("from cfnsr.corpora.studio import *\n")
    there.edit('corpus: Literal["studio"', 'corpus: Literal["mirror", "studio"', "cfnsr/config/__init__.py")
    there.edit("class Corpora(Section):\n", "class Corpora(Section):\n    mirror: Studio\n", "cfnsr/config/data.py")
    text = (there.folder / "params.yaml").read_text()
    section = text.split("corpora:\n  studio:\n")[1].split("\n  ravdess:")[0]
    there.edit("corpora:\n", f"corpora:\n  mirror:\n{section}\n")
    there.run("dvc", "commit", "-f")
    studio, results = there.entries(), there.results()
    there.edit("corpus: studio", "corpus: mirror")
    made = there.repro("check")
    of_actors = [f"{stage}@mirror-0{actor}" for stage in ("download", "crop", "extract") for actor in (1, 2, 3)]
    assert sorted(made) == sorted([*of_actors, "landmarks@mirror", "check@mirror"])
    there.edit("corpus: mirror", "corpus: studio")
    assert not there.repro()
    assert there.entries() == studio
    assert {name: one for name, one in there.results().items() if name.startswith("studio/")} == results
    there.edit("corpus: studio", "corpus: mirror")
    assert not there.repro("check")
