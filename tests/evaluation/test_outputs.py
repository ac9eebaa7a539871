from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import JobPaths, JobRecord
from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.evaluation.outputs import from_table, to_table, write_outputs
from cfnsr.evaluation.predict import Predictor
from cfnsr.models import checkpoint
from cfnsr.runtime import libraries
from tests.support import corpus, networks

TRIAL = corpus.trial("fold_1")


@pytest.fixture
def paths(tmp_path: Path) -> JobPaths:
    return JobPaths.of(tmp_path, "cfnsr", TRIAL)


def write(paths: JobPaths, manifest: Manifest, datasets: FoldDatasets, **epochs: int) -> Predictor:
    """Write the outputs of a network, with its own predictions."""
    spec = networks.spec("cfnsr", manifest, TRIAL)
    predictor = Predictor(networks.network(spec), networks.NORMALISE, 4)
    assert datasets.validation is not None
    choices = {"selected": predictor.predict(datasets.test), "validation": predictor.predict(datasets.validation)}
    attention = predictor.attention(datasets.test)
    write_outputs(paths, predictor.network, spec, datasets, choices, attention=attention, **epochs)
    return predictor


def test_the_saved_network_makes_the_saved_predictions(
    paths: JobPaths, manifest: Manifest, datasets: FoldDatasets
) -> None:
    write(paths, manifest, datasets)
    table = pd.read_parquet(paths.predictions)
    predictor = Predictor(checkpoint.load(paths.checkpoint), networks.NORMALISE, 3)
    for choice, clips in (("selected", datasets.test), ("validation", datasets.validation)):
        assert clips is not None and set(table.loc[table["choice"] == choice, "actor"]) == {*clips.index["actor"]}
        assert np.abs(from_table(table, manifest.labels, choice) - predictor.predict(clips)).max() < 1e-5


def test_a_table_returns_the_predictions_put_in(manifest: Manifest, datasets: FoldDatasets) -> None:
    predictor = Predictor(networks.network(networks.spec("audio", manifest, TRIAL)), networks.NORMALISE, 8)
    predicted = predictor.predict(datasets.test)
    choices = {"selected": predicted, "last_epoch": predicted[::-1]}
    tables = [to_table(datasets.test.index, manifest.labels, choice, values) for choice, values in choices.items()]
    table = pd.concat(tables)
    for choice, values in choices.items():
        assert np.allclose(from_table(table, manifest.labels, choice), values, atol=1e-6)
    assert tables[0]["predicted"].tolist() == [manifest.labels[best] for best in predicted.argmax(axis=1)]
    assert tables[0]["clip"].tolist() == datasets.test.index["clip"].tolist()


def test_attention_is_beside_the_selected_predictions_alone(
    paths: JobPaths, manifest: Manifest, datasets: FoldDatasets
) -> None:
    predictor = write(paths, manifest, datasets)
    table = pd.read_parquet(paths.predictions)
    assert set(table.loc[table["attention"].notna(), "choice"]) == {"selected"}
    selected = table.loc[table["choice"] == "selected", "attention"]
    attention = np.array([[np.stack(list(moment)) for moment in clip] for clip in selected])
    assert attention.shape == (8, 1, 1, 1) and np.allclose(attention.sum(axis=(2, 3)), 1, atol=1e-5)
    np.testing.assert_allclose(predictor.attention(datasets.test), attention, atol=1e-5)


def test_the_record_describes_the_job(paths: JobPaths, manifest: Manifest, datasets: FoldDatasets) -> None:
    network = write(paths, manifest, datasets, epochs=3, selected_epoch=2, best_test_epoch=1).network
    assert JobRecord.read(paths.record) == JobRecord(
        name="cfnsr",
        protocol="held_out",
        fold="fold_1",
        seed=7,
        data=manifest.fingerprint,
        parameters=sum(value.numel() for value in network.parameters()),
        reads=["audio", "video"],
        reconstructed=network.publication.reconstructed,
        published_accuracy=0.7576,
        imported=[],
        epochs=3,
        selected_epoch=2,
        best_test_epoch=1,
        speakers={"test": ["01"], "validation": ["02"], "train": ["03", "04"]},
        libraries=libraries.versions(),
    )


def test_writing_twice_makes_the_same_bytes(tmp_path: Path, manifest: Manifest, datasets: FoldDatasets) -> None:
    first, second = (JobPaths.of(tmp_path / name, "cfnsr", TRIAL) for name in ("first", "second"))
    write(first, manifest, datasets)
    write(second, manifest, datasets)
    for name in ("checkpoint", "predictions", "record"):
        assert getattr(first, name).read_bytes() == getattr(second, name).read_bytes()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_predictions_that_are_not_finite_are_refused(
    paths: JobPaths, manifest: Manifest, datasets: FoldDatasets, value: float
) -> None:
    predictor = write(paths, manifest, datasets)
    before = paths.predictions.read_bytes()
    predicted = predictor.predict(datasets.test)
    predicted[3, 2] = value
    spec = networks.spec("cfnsr", manifest, TRIAL)
    with pytest.raises(CfnsrError, match=r"cfnsr: predictions contain NaN or infinity \(selected\)"):
        write_outputs(paths, predictor.network, spec, datasets, {"selected": predicted})
    assert paths.predictions.read_bytes() == before
