"""Every kind of stored file, damaged in every way, is one error with the command that makes it again."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cfnsr.cli import timing
from cfnsr.config import yaml_files
from cfnsr.corpora.clip import Clip
from cfnsr.data import shards
from cfnsr.data.jobs import JobPaths, JobRecord, read_predictions
from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.evaluation.reference import Reference
from cfnsr.features import files as features
from cfnsr.features.cross_record import FOLDER, CrossRecord
from cfnsr.features.files import ClipFeatures, Facts
from cfnsr.inference.card import Card
from cfnsr.preprocessing import face_boxes, landmarks
from cfnsr.preprocessing.landmarks import Landmarks
from cfnsr.report import files as tables
from cfnsr.report import results
from cfnsr.runtime import model_header, stored
from tests.support import corpus, made_up_results

TRIAL = made_up_results.expected().rows["held_out", "cfnsr"][0]
JOB = JobPaths.of(Path("data/made_up"), "cfnsr", TRIAL)
CROSS = Path("data/made_up/jobs", FOLDER, "audio")
OPENED = Path("data/made_up/shards/01")
FEATURES = Path("data/made_up/features/a/01")
METRICS = Path("metrics/made_up")

# By file: how it is read.
READERS: dict[Path, Callable[[], object]] = {
    Path("data/made_up/manifest.json"): lambda: Manifest.read(Path("data/made_up/manifest.json")),
    JOB.record: lambda: JobRecord.read(JOB.record),
    JOB.predictions: lambda: read_predictions(JOB.predictions, ["actor", "clip"], labels=made_up_results.LABELS),
    JOB.curves / "test.csv": lambda: results.mean_curves([JOB.curves]),
    JOB.curves / "plots/metrics/train/loss.tsv": lambda: results.mean_curves([JOB.curves]),
    JOB.model / "reference.safetensors": lambda: Reference.beside(JOB.checkpoint),
    CROSS / "record.json": lambda: CrossRecord.read(CROSS / "record.json"),
    CROSS / "predictions.parquet": lambda: read_predictions(CROSS / "predictions.parquet", ["actor", "clip"]),
    **{OPENED / f"{name}.npy": lambda: shards.read(OPENED) for name in shards.ARRAYS},
    OPENED / shards.INDEX: lambda: shards.read(OPENED),
    **{
        FEATURES / name: lambda: features.read(FEATURES)
        for name in (features.ARRAY, features.SEQUENCES, features.INDEX, features.FACTS)
    },
    Path("data/made_up/landmarks/01.parquet"): lambda: landmarks.read(Path("data/made_up/landmarks/01.parquet")),
    Path("data/made_up/faces/01.parquet"): lambda: face_boxes.read(Path("data/made_up/faces/01.parquet")),
    Path("data/made_up/best/card.json"): lambda: Card.of(Path("data/made_up/best/model.safetensors")),
    METRICS / "results.csv": lambda: tables.read(METRICS),
    METRICS / "comparisons.csv": lambda: tables.read_differences(METRICS),
    METRICS / "cross.csv": lambda: tables.read_cross(METRICS),
    timing.LOGS / "crop@made_up-01.json": lambda: timing.read_job_times("made_up"),
    Path("presets/base.yaml"): lambda: yaml_files.read_yaml(Path("presets/base.yaml")),
}
DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "empty": lambda _: b"",
    "half": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
    "random": lambda content: random.Random(1).randbytes(len(content)),
    "page": lambda _: b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
    "list": lambda _: b"[1, 2]",
    "deep": lambda _: b"[" * 100_000,
    "not UTF-8": lambda content: content[:40] + b"\xff\xfe" + content[40:],
    "folder": lambda _: None,
}
# CSV and YAML are read as far as they go: a shorter one may be sound.
SOUND = {("half", ".csv"), ("half", ".tsv"), ("half", ".yaml"), ("empty", ".yaml")}


def write(root: Path) -> None:
    """Write a file of each kind."""
    data = root / "data/made_up"
    corpus.write(data / "shards")
    figures = made_up_results.gathered(data, made_up_results.manifest())
    made_up_results.write_cross(data)
    tables.write(root / METRICS, figures, made_up_results.manifest())
    made_up_results.manifest().write(data / "manifest.json")
    vectors = np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32)
    Reference.of(vectors, ["encoder"]).write(root / JOB.checkpoint)
    facts = Facts("a", "audio", "1", None)
    clips = [Clip(str(number), data / "manifest.json", "01", "calm") for number in range(2)]
    of_clip = ClipFeatures(np.ones((2, 3), np.float32), 1.0, (np.ones((4, 3), np.float32),))
    features.write(root / FEATURES, facts, clips, dict.fromkeys((clip.id for clip in clips), of_clip), {})
    points = np.random.default_rng(1).uniform(10, 90, (5, landmarks.POINTS, 2))
    confidence = np.array([1.0, np.nan, 1.0, 1.0, 1.0])
    landmarks.write(data / "landmarks/01.parquet", {"a": Landmarks(points, confidence, 25.0)}, {"b": "is silent"})
    boxes = face_boxes.FaceBoxes(np.ones((5, 3)), confidence, np.zeros(5, bool))
    face_boxes.write(data / "faces/01.parquet", {"a": boxes}, {"b": "is silent"})
    (data / "best").mkdir()
    Card("a").write(data / "best")
    (root / timing.LOGS).mkdir()
    log = {"stage": "crop@made_up-01", "wall_s": 1.5, "row": "cfnsr", "protocol": "held_out"}
    (root / timing.LOGS / "crop@made_up-01.json").write_text(json.dumps(log))
    (root / "presets").mkdir()
    (root / "presets/base.yaml").write_text("corpus: made_up\nlabels: [calm, happy, sad, angry, fearful]\n")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    write(folder)
    return folder


@pytest.mark.parametrize("path", READERS, ids=str)
def test_every_damage_is_one_line_that_remakes(path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    READERS[path]()
    content = path.read_bytes()
    for name, damage in DAMAGES.items():
        path.unlink()
        damaged = damage(content)
        if damaged is None:
            path.mkdir()
        else:
            path.write_bytes(damaged)
        try:
            if (name, path.suffix) not in SOUND:
                with pytest.raises(CfnsrError) as error:
                    READERS[path]()
                line = str(error.value)
                assert line.startswith(f"{path}: ") and "\n" not in line and len(line) < 500, name
                assert any(command in line for command in ("check --deep --mend", "git checkout", "rm -r")), (
                    name,
                    line,
                )
        finally:
            path.rmdir() if damaged is None else path.unlink()
            path.write_bytes(content)


@pytest.mark.parametrize("path", [path for path in READERS if path.suffix == ".parquet"], ids=str)
def test_flipped_bit_changes_no_value(path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    content, table = path.read_bytes(), pq.read_table(path)
    pages = len(content) - 8 - int.from_bytes(content[-8:-4], "little")  # before the footer
    refused = 0
    for position in np.random.default_rng(1).integers(4, pages, 100):
        path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        try:
            READERS[path]()
        except CfnsrError:
            refused += 1
        else:
            assert pq.read_table(path).to_pandas().equals(table.to_pandas())
    path.write_bytes(content)
    assert refused


@pytest.mark.parametrize("path", [path for path in READERS if path.suffix == ".parquet"], ids=str)
def test_column_of_another_kind_is_named(path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    content, table = path.read_bytes(), pq.read_table(path)
    lists = pa.array([[1.0]] * len(table))
    for change in (table.drop(["clip"]), table.set_column(table.column_names.index("clip"), "clip", lists)):
        pq.write_table(change, path)
        with pytest.raises(CfnsrError, match=r"\.parquet: is not .*column clip"):
            READERS[path]()
    for key, value in ((b"PANDAS_ATTRS", b"5"), (b"PANDAS_ATTRS", b'{"speakers": {"test": null}}'), (b"pandas", b"[]")):
        if key in (table.schema.metadata or {}):
            pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), key: value}), path)
            with pytest.raises(
                CfnsrError, match=r"is not a table of predictions|the index of features|its arrays are damaged"
            ):
                READERS[path]()
    path.write_bytes(content)


def test_refusal_of_the_disk_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), stored.reading(tmp_path, "a table"):
        raise PermissionError(13, "Permission denied", str(tmp_path))


def test_model_is_made_again_by_the_same_commands(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(CfnsrError, match="Run `cfnsr check --deep --mend`, then `dvc repro`"):
        model_header.read(tmp_path / "model.safetensors")
