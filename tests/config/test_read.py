from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cfnsr import config
from cfnsr.config import Params
from cfnsr.config.read import ReadParams
from cfnsr.errors import CfnsrError


@pytest.fixture
def path(tmp_path: Path, root: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text((root / "params.yaml").read_text())
    return path


def change(path: Path, key: str, value: Any) -> None:
    yaml = YAML()
    values = yaml.load(path)
    *sections, name = key.split(".")
    section = values
    for part in sections:
        section = section[part]
    if value is None:
        del section[name]
    else:
        section[name] = value
    yaml.dump(values, path)


# As the stages read them.
READS: dict[str, Callable[[Params], Any]] = {
    "train": lambda params: (params.train.model_dump(), params.system("cfnsr").options),
    "ablate": lambda params: params.variant("no_residual"),
    "check": lambda params: (params.folds, params.corpora.studio.model_dump(), params.extract.audio.silence_db),
    "landmarks": lambda params: params.landmarks.face_align.model_dump(include={"points"}),
    "best": lambda params: (params.run.rows, params.run.fused),
    "report": lambda params: params.of_result(),
}


@pytest.mark.parametrize(
    ("stage", "key", "value"),
    [
        ("train", "train.augment.video.flip", 0.25),
        ("train", "systems.cfnsr.options.attention_layers", 3),
        ("train", "systems.cfnsr.options", {"heads": 2}),
        ("ablate", "ablations.variants.no_residual", {"residual": True}),
        ("check", "folds", {"fold_2": ["03", "04"], "fold_1": ["01", "02"]}),
        ("check", "corpora.studio.seed", 99),
        ("check", "extract.audio.silence_db", -50),
        ("landmarks", "landmarks.face_align.points", False),
        ("best", "run.train", ["msaf"]),
        ("report", "pixels.order", "bgr"),
    ],
)
def test_a_changed_key_that_was_read_is_refused(path: Path, stage: str, key: str, value: object) -> None:
    if key.startswith("ablations"):
        change(path, "ablations.variants", {"no_residual": {"residual": False}, "other": {"residual": False}})
    read = ReadParams(path)
    assert READS[stage](read.params) == READS[stage](config.load(path))
    read.check_unchanged()
    change(path, key, value)
    (read_as,) = (one for one in read.keys if f"{key}.".startswith(f"{one}."))
    with pytest.raises(CfnsrError, match=rf": {read_as} has changed since this stage read it\. Run the same"):
        read.check_unchanged()


@pytest.mark.parametrize(
    ("stage", "key"),
    [
        ("train", "systems.msaf"),
        ("train", "report.ci_level"),
        ("train", "systems.cfnsr.training.epochs"),
        ("ablate", "ablations.variants.other"),
        ("check", "corpora.ravdess"),
        ("check", "extract.audio.rate_hz"),
        ("landmarks", "landmarks.face_align.batch_size"),
        ("report", "fetch"),
    ],
)
def test_keys_that_were_not_read_may_change(path: Path, stage: str, key: str) -> None:
    change(path, "ablations.variants", {"no_residual": {"residual": False}, "other": {"residual": False}})
    read = ReadParams(path)
    READS[stage](read.params)
    change(path, key, None)
    read.check_unchanged()


def test_the_order_of_the_folds_is_compared(path: Path) -> None:
    read = ReadParams(path)
    folds = read.params.folds
    change(path, "folds", dict(reversed(folds.items())))
    with pytest.raises(CfnsrError, match="folds has changed"):
        read.check_unchanged()


def test_a_file_saved_half_is_refused(path: Path) -> None:
    read = ReadParams(path)
    path.write_text("folds: [")
    with pytest.raises(CfnsrError, match="is not YAML"):
        read.check_unchanged()


def test_an_edit_that_keeps_time_and_length_is_found(path: Path) -> None:
    """As by `cp -p`, `rsync`, or a clock that was set back."""
    read, before = ReadParams(path), path.stat()
    assert read.params.report.faces is True
    path.write_text(path.read_text().replace("  faces: true ", "  faces: false"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.raises(CfnsrError, match=r"report\.faces has changed"):
        read.check_unchanged()
