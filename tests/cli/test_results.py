"""``cfnsr results`` names a command that compares, also right after the first run of another corpus. With real DVC."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

from ruamel.yaml import YAML

from cfnsr.report import files
from tests.support import made_up_results
from tests.support.repository import Repository


def test_printed_command_compares_with_the_commit(root: Path, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    figures = made_up_results.gathered(tmp_path / "jobs", made_up_results.manifest())
    files.write(repository.folder / "metrics/studio", figures, made_up_results.manifest())
    shutil.copy(root / "params.yaml", repository.folder)
    outputs = {"metrics": [{"metrics/${corpus}/metrics.json": {"cache": False}}]}
    with (repository.folder / "dvc.yaml").open("w") as file:
        YAML().dump({"stages": {"report": {"cmd": "true", **outputs}}}, file)
    repository.run("git", "init", "-q")
    repository.dvc("init", "-q")
    repository.edit("\ncorpus: studio", "\ncorpus: emodb")
    repository.commit("results of studio, params of emodb")
    repository.edit("\ncorpus: emodb", "\ncorpus: studio")
    metrics = repository.folder / "metrics/studio/metrics.json"
    values = json.loads(metrics.read_text())
    metrics.write_text(json.dumps(values | {"clips": values["clips"] + 1}))
    assert re.search(r" clips +- +\d+ +-", repository.dvc("metrics", "diff"))  # DVC finds nothing to compare
    command = re.search(r"^Compare with the last commit: (dvc .*\.json)$", repository.cli("results"), re.MULTILINE)
    assert command is not None
    assert re.search(rf" clips +{values['clips']} +\d+ +1\b", repository.run(*shlex.split(command[1])))
