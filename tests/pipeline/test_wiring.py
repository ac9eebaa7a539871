"""Every module that a stage imports is among its deps: else DVC would call a stale result up to date."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import grimp
import pytest
from ruamel.yaml import YAML

from cfnsr.runtime import dvc_repository, registry

ROOT = Path(__file__).parents[2]
STAGES: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"]
# docs/decisions/0004-what-stages-depend-on.md: modules that decide no number of a result.
PLUMBING = (
    *("cfnsr.cli", "cfnsr.config", "cfnsr.errors", "cfnsr.runtime"),
    *("cfnsr.corpora.download", "cfnsr.corpora.source", "cfnsr.corpora.unpack", "cfnsr.corpora.link_or_copy"),
    *("cfnsr.corpora.retries", "cfnsr.corpora.licence", "cfnsr.corpora.answers", "cfnsr.corpora.session"),
)
# What is imported by its name in params.yaml, which no import graph shows.
ENCODERS = ["cfnsr.models.encoders.video.${encoders.video.name}", "cfnsr.models.encoders.audio.${encoders.audio.name}"]
BY_NAME = {
    "download": ["cfnsr.corpora.${corpus}.prepare"],
    "published_landmarks": ["cfnsr.corpora.${corpus}.prepare", "cfnsr.preprocessing.published_landmarks.${corpus}"],
    "landmarks": [
        "cfnsr.corpora.${corpus}",
        "cfnsr.preprocessing.landmarks.${landmarks.source}",
        "cfnsr.preprocessing.video.${extract.video.decoder}",
    ],
    "extract": ["cfnsr.corpora.${corpus}", "cfnsr.preprocessing.video.${extract.video.decoder}"],
    "check": ["cfnsr.corpora.${corpus}"],
    "pretrain": ["cfnsr.models.encoders.${item.name}.${encoders.video.name}"],
    "combine": [*ENCODERS, "cfnsr.models.fusion.${item.name}"],
    "train": [*ENCODERS, "cfnsr.models.fusion.${item.name}"],
    "ablate": [*ENCODERS, "cfnsr.models.fusion.${ablations.system}"],
    "evaluate": [*ENCODERS, "cfnsr.models.fusion.cfnsr", "cfnsr.models.fusion.msaf"],
    "features": ["cfnsr.corpora.${corpus}", "cfnsr.features.extractors.${item.name}"],
}
# docs/decisions/0027-params-first.md: what is plumbing elsewhere decides the result of this stage.
NO_PLUMBING = {"params": ["cfnsr.config"]}
SCRIPTS = {name: re.match(r"python -m stages\.(\w+)", stage["cmd"])[1] for name, stage in STAGES.items()}
NAMES = {"encoders.video.name": "resnext3d", "encoders.audio.name": "mfcc_cnn", "ablations.system": "cfnsr"}
CHOICES = [
    {"corpus": "studio", "landmarks.source": "openface", "extract.video.decoder": "pyav"},
    {"corpus": "ravdess", "landmarks.source": "openface", "extract.video.decoder": "decord"},
    {"corpus": "folder", "landmarks.source": "face_align", "extract.video.decoder": "pyav"},
    {"corpus": "ravdess_speech", "landmarks.source": "openface", "extract.video.decoder": "pyav"},
    {"corpus": "emodb", "landmarks.source": "openface", "extract.video.decoder": "pyav"},
    {"corpus": "crema_d", "landmarks.source": "face_mesh", "extract.video.decoder": "pyav"},
]
ROWS = {
    "pretrain": ["video", "audio"],
    "combine": ["averaging", "multiplication"],
    "train": ["cfnsr", "msaf", "eranns"],
    "features": registry.names("cfnsr.features.extractors"),
}

NAME_OF = {
    "pretrain": "video",
    "ablate": "cfnsr_no_residual",
    "features": "mel_statistics",
    "probe": "mel_statistics",
    "sequence": "whisper_tiny",
}


def fill(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    sys.path.insert(0, str(ROOT))
    return grimp.build_graph("cfnsr", "stages", exclude_type_checking_imports=True, cache_dir=None)


def test_every_script_is_a_stage() -> None:
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert scripts == set(SCRIPTS.values())


def imported_by(graph: grimp.ImportGraph, stage: str, values: dict[str, str]) -> set[str]:
    """Return the files of the modules that a stage imports, directly or not, but not by way of the plumbing.

    A package that is imported only because a module lies in it decides nothing.
    """
    named = [fill(name, values) for name in BY_NAME.get(stage, [])]
    plumbing = set(PLUMBING) - set(NO_PLUMBING.get(stage, []))
    modules, ahead = set(), [f"stages.{SCRIPTS[stage]}", *(name for name in named if name in graph.modules)]
    while ahead:
        module = ahead.pop()
        if module not in modules and not any(module == one or module.startswith(f"{one}.") for one in plumbing):
            modules.add(module)
            ahead += graph.find_modules_directly_imported_by(module)
    paths = (ROOT / module.replace(".", "/") for module in modules)
    files = [path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for path in paths]
    # A package's file without code imports nothing.
    return {str(path.relative_to(ROOT)) for path in files if path.name != "__init__.py" or has_code(path)}


def has_code(path: Path) -> bool:
    """Whether a module holds more than a docstring."""
    return any(not isinstance(node, ast.Expr) for node in ast.parse(path.read_text()).body)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice["corpus"])
@pytest.mark.parametrize("stage", STAGES)
def test_deps_hold_all_imported_code(graph: grimp.ImportGraph, stage: str, choice: dict[str, str]) -> None:
    for name in ROWS.get(stage, ["cfnsr"]):
        values = {**NAMES, **choice, "item.name": name}
        deps = {fill(str(dep), values) for dep in STAGES[stage]["deps"]}
        files = imported_by(graph, stage, values) - {"cfnsr/__init__.py", "stages/__init__.py"}
        assert f"stages/{SCRIPTS[stage]}.py" in files and len(files) >= 2
        missing = {file for file in files if not any(file == dep or file.startswith(f"{dep}/") for dep in deps)}
        assert not missing


@pytest.mark.parametrize("stage", ["pretrain", "combine", "train", "ablate", "evaluate"])
def test_a_training_stage_has_twelve_code_deps(stage: str) -> None:
    assert len([dep for dep in STAGES[stage]["deps"] if dep.startswith(("cfnsr/", "stages/"))]) <= 12


def test_the_wiring_stays_small() -> None:
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 410
    entries = [path for path in (ROOT / "cfnsr").iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 14
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert len(layers) <= 10


def test_the_lock_holds_no_stage_of_the_past() -> None:
    """DVC never removes an entry, and writes all of them again after each stage."""
    entries = YAML(typ="safe").load((ROOT / "dvc.lock").read_text())["stages"]
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    assert len(entries) == dvc_repository.stage_count(ROOT, params)


@pytest.mark.parametrize("stage", STAGES)
def test_every_dep_and_every_param_exists(stage: str) -> None:
    params = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())
    values = {
        "corpus": "studio",
        "ablations.system": "cfnsr",
        "landmarks.source": "openface",
        "item.row.system": "cfnsr",
        "item.row.video": "blendshapes",
        "item.row.audio": "whisper_tiny",
    }
    values["item.name"] = NAME_OF.get(stage, "cfnsr")
    for dep in STAGES[stage]["deps"]:
        if dep.startswith(("cfnsr/", "stages/")):
            assert (ROOT / fill(dep, values)).exists(), dep
    for key in STAGES[stage].get("params", []):
        section: Any = params
        for part in fill(key, values).split("."):
            assert part in section, key
            section = section[part]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_says_what_it_does(stage: str) -> None:
    assert len(STAGES[stage]["desc"]) > 10
