"""What a stage runs stands among what it depends on: else DVC would call a stale result up to date."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import grimp
import pytest
from ruamel.yaml import YAML

from tests.support import recorded
from tests.support.repository import Repository

pytestmark = pytest.mark.xdist_group("wiring")

ROOT = Path(__file__).parents[2]
STAGES: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"]
# docs/decisions/0004-what-stages-depend-on.md
PLUMBING = {
    f"cfnsr.{name}"
    for name in (
        *("config", "entry", "cell_arguments", "errors", "atomic", "bad_clips", "fan_in", "lifeline"),
        *("progress", "types", "batch", "fetch", "source", "unpack", "placing", "disk"),
        *("engines", "engines.threads", "engines.on_ray"),
    )
}
# What is imported by its name in params.yaml, which no import graph can see; and params.yaml may name another.
BY_NAME = {
    "download": ["cfnsr.corpora.${corpus}"],
    "landmarks": ["cfnsr.corpora.${corpus}", "cfnsr.preprocessing.published_landmarks.${corpus}"],
    "crop": [
        "cfnsr.corpora.${corpus}",
        "cfnsr.preprocessing.landmarks.${crop.landmarks}",
        "cfnsr.preprocessing.video.${extract.video.decoder}",
    ],
    "extract": ["cfnsr.corpora.${corpus}", "cfnsr.preprocessing.video.${extract.video.decoder}"],
    "check": ["cfnsr.corpora.${corpus}"],
    "pretrain": ["cfnsr.models.encoders.${item.modality}"],
    "train": [
        "cfnsr.models.encoders.resnext3d",
        "cfnsr.models.encoders.mfcc_cnn",
        "cfnsr.models.fusion.${item.system}",
    ],
    "ablate": [
        "cfnsr.models.encoders.resnext3d",
        "cfnsr.models.encoders.mfcc_cnn",
        "cfnsr.models.fusion.${ablations.system}",
    ],
    "evaluate": [
        "cfnsr.models.encoders.resnext3d",
        "cfnsr.models.encoders.mfcc_cnn",
        "cfnsr.models.fusion.cfnsr",
        "cfnsr.models.fusion.msaf",
    ],
}
SCRIPTS = {name: re.match(r"python -m stages\.(\w+)", stage["cmd"])[1] for name, stage in STAGES.items()}
CHOICES = [
    {"corpus": "studio", "crop.landmarks": "openface", "extract.video.decoder": "pyav", "item.system": "cfnsr"},
    {"corpus": "ravdess", "crop.landmarks": "openface", "extract.video.decoder": "decord", "item.system": "msaf"},
    {"corpus": "folder", "crop.landmarks": "face_align", "extract.video.decoder": "pyav", "item.system": "averaging"},
]


def chosen(text: str, choice: dict[str, str]) -> str:
    named = {"item.modality": "video", "ablations.system": "cfnsr"}
    for name, value in {**choice, **named}.items():
        text = text.replace(f"${{{name}}}", value)
    return text


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    sys.path.insert(0, str(ROOT))
    return grimp.build_graph("cfnsr", "stages", cache_dir=None)


def test_every_script_is_a_stage_and_the_other_way_round() -> None:
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert scripts == set(SCRIPTS.values())


def run_by(graph: grimp.ImportGraph, stage: str, choice: dict[str, str]) -> set[str]:
    """The files of the modules that a stage imports, at first or second hand, but not by way of the plumbing."""
    named = [chosen(name, choice) for name in BY_NAME.get(stage, [])]
    found, ahead = set(), [f"stages.{SCRIPTS[stage]}", *(name for name in named if name in graph.modules)]
    while ahead:
        module = ahead.pop()
        if module not in found | PLUMBING:
            found.add(module)
            ahead += graph.find_modules_directly_imported_by(module)
            ahead += [module.rpartition(".")[0]] if "." in module else []
    files = (ROOT / module.replace(".", "/") for module in found - {"cfnsr", "stages"})
    return {
        str((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).relative_to(ROOT)) for path in files
    }


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice["corpus"])
@pytest.mark.parametrize("stage", STAGES)
def test_the_code_a_stage_imports_is_among_its_deps(
    graph: grimp.ImportGraph, stage: str, choice: dict[str, str]
) -> None:
    deps = {chosen(str(dep), choice) for dep in STAGES[stage]["deps"]}
    files = run_by(graph, stage, choice)
    assert f"stages/{SCRIPTS[stage]}.py" in files and len(files) >= 3
    missing = {file for file in files if not any(file == dep or file.startswith(f"{dep}/") for dep in deps)}
    assert not missing


@pytest.mark.parametrize("stage", STAGES)
def test_every_dep_and_every_param_exists(stage: str) -> None:
    params = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())
    for dep in STAGES[stage]["deps"]:
        if dep.startswith(("cfnsr/", "stages/")) and "${" not in dep:
            assert (ROOT / dep).exists(), dep
    for key in STAGES[stage]["params"]:
        section: Any = params
        for part in key.replace("${corpus}", "studio").replace("${item.modality}", "video").split("."):
            if part.startswith("${"):
                break
            assert part in section, key
            section = section[part]


@pytest.fixture(scope="module")
def repository(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return finished.copy(tmp_path_factory.mktemp("wiring") / "there")


@pytest.mark.parametrize(
    "name",
    [
        *(f"{stage}@studio-01" for stage in ("download", "crop", "extract")),
        "landmarks@studio",
        "check@studio",
        *(f"pretrain@studio-held_out-{modality}-fold_1-1234" for modality in ("video", "audio")),
        *(f"train@studio-held_out-{system}-fold_1-1234" for system in ("averaging", "cfnsr")),
        "best@studio",
        "report@studio",
    ],
)
def test_the_params_a_stage_reads_are_those_it_declares(repository: Repository, name: str) -> None:
    """Each stage, run for real with an eye on what it takes from params.yaml."""
    recorded.hold(repository, name)


def test_the_pipelines_picture_in_the_readme_is_what_dvc_draws(repository: Repository) -> None:
    drawn = repository.run("dvc", "dag", "--collapse-foreach-matrix", "--mermaid").strip()
    shown = (ROOT / "README.md").read_text().split("```mermaid\n")[1].split("```")[0].strip()
    assert shown.replace("\t", "    ") == drawn.replace("\t", "    ")


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_says_what_it_does(stage: str) -> None:
    assert len(STAGES[stage]["desc"]) > 10
