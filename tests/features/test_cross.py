"""Classifiers that are trained on other corpora: what they learn from, what they may not see, what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cfnsr.data import shards
from cfnsr.data.dataset import Clips
from cfnsr.data.jobs import read_predictions
from cfnsr.errors import CfnsrError
from cfnsr.features import cross, files, imported
from cfnsr.features.cross_record import CrossRecord
from cfnsr.features.fold import FrozenFeatures
from cfnsr.features.imported import ImportedFeatures
from cfnsr.features.probe import Probe
from stages import cross as cross_stage
from stages import import_features
from tests.support import corpus, frozen
from tests.support.training import write_params

NAME, C = "mel_statistics", [0.001, 0.1]
# Emotions of another corpus, by their own names; the made-up corpus that is tested has RAVDESS's eight.
OTHERS = {
    "emodb": ["anger", "boredom", "happiness", "sadness", "neutral"],
    "crema_d": ["anger", "disgust", "happiness", "fear"],
}
COMMON = {"angry": "anger", "happy": "happiness", "sad": "sadness", "fearful": "fear", "surprised": "surprise"}
ORDER = [COMMON.get(label, label) for label in corpus.LABELS]


def write_other(
    data: Path, name: str, *, speakers: int = 5, shift: float = 0.0, facts: files.Facts = frozen.FACTS
) -> None:
    """Write manifest and features of another corpus, whose layer ``KNOWING`` tells the same emotions apart."""
    folder, labels = data / name, OTHERS[name]
    actors = [f"{number:02}" for number in range(21, 21 + speakers)]
    for actor in actors:
        rows = [
            {
                "clip": f"{actor}-{label}-{take}",
                "actor": actor,
                "label": label,
                "source_md5": f"{name}{actor}{label}{take}",
            }
            for label in labels
            for take in range(2)
        ]
        means = np.random.default_rng(int(actor)).normal(0, 1, (len(rows), 3, 12)).astype(np.float32) + shift
        for number, row in enumerate(rows):
            means[number, frozen.KNOWING, ORDER.index(row["label"]) if row["label"] in ORDER else 11] += 6
        frozen.write_speaker(folder / "features" / NAME / actor, pd.DataFrame(rows), means, facts)
    made_up = corpus.manifest(data / "made_up/shards")
    known = replace(
        made_up,
        corpus=name,
        labels=labels,
        clips=dict.fromkeys(actors, 2 * len(labels)),
        fingerprint=f"print of {name}",
    )
    known.write(folder / "manifest.json")


@pytest.fixture(scope="module")
def all_corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the corpora; tests copy them."""
    data = tmp_path_factory.mktemp("corpora")
    corpus.write(data / "made_up/shards")
    corpus.manifest(data / "made_up/shards").write(data / "made_up/manifest.json")
    frozen.write(data / "made_up/features" / NAME, data / "made_up/shards")
    for name in OTHERS:
        write_other(data, name)
    return data


@pytest.fixture
def data(all_corpora: Path, tmp_path: Path) -> Path:
    return shutil.copytree(all_corpora, tmp_path / "data")


def run(data: Path, *sources: str, status: int = 0, **values: object) -> str:
    """Import the features of other corpora, and train on them."""
    params = data / "params.yaml"
    listed = {"corpora": list(sources), "rows": [NAME]}
    write_params(params, **{"run.probe": [NAME], "run.cross": listed, "probe.c": C, **values})
    of_corpus = [str(data / "made_up"), "--params", str(params)]
    calls = [(import_features.main, [source, NAME, *of_corpus]) for source in sources]
    for main, arguments in [*calls, (cross_stage.main, [NAME, *of_corpus])]:
        result = CliRunner().invoke(main, arguments)
        if result.exit_code:
            break
    assert result.exit_code == status, result.output
    return result.output


def results(data: Path) -> tuple[CrossRecord, pd.DataFrame]:
    folder = data / "made_up/jobs/cross_corpus" / NAME
    return CrossRecord.read(folder / "record.json"), read_predictions(folder / "predictions.parquet")


def test_one_corpus_trains_and_this_one_tests(data: Path) -> None:
    run(data, "emodb")
    record, table = results(data)
    assert (record.name, record.seen, record.sources) == (NAME, "no", {"emodb": "print of emodb"})
    assert [(training.trained_on, training.standardise) for training in record.trainings] == [
        (["emodb"], "training"),
        (["emodb"], "target"),
    ]
    first = record.trainings[0]
    assert first.emotions == ["neutral", "happiness", "sadness", "anger"] and first.layer == frozen.KNOWING
    assert (first.training_clips, first.training_speakers, first.left_out) == (40, 5, {"emodb": {"boredom": 10}})
    # Speaker 04 tests in no fold.
    assert first.tested == 12 and first.not_tested == {"calm": 3, "fear": 3, "disgust": 3, "surprise": 3}
    assert set(table["actor"]) == {"01", "02", "03"} and set(table["label"]) == set(first.emotions)
    assert (table["label"] == table["predicted"]).all() and len(table) == 24


def test_several_corpora_train_alone_and_together(data: Path) -> None:
    run(data, "emodb", "crema_d", **{"cross.standardise": ["training"]})
    record, table = results(data)
    assert [training.trained_on for training in record.trainings] == [["emodb"], ["crema_d"], ["emodb", "crema_d"]]
    assert record.trainings[2].emotions == ["neutral", "happiness", "sadness", "anger", "fear", "disgust"]
    assert table.groupby("trained_on").size().to_dict() == {"crema_d": 12, "emodb": 12, "emodb, crema_d": 18}
    of_emodb = table[table["trained_on"] == "emodb"]
    assert np.allclose(of_emodb[[f"p_{label}" for label in record.trainings[0].emotions]].sum(axis=1), 1)


def opened(data: Path) -> tuple[list[ImportedFeatures], FrozenFeatures, pd.DataFrame]:
    """Open what the stage opens."""
    run(data, "emodb", "crema_d", **{"cross.standardise": ["training"]})
    sources = [imported.read(data / "made_up/imported_features" / NAME / source) for source in OTHERS]
    clips = Clips(data / "made_up/shards", corpus.ACTORS[:3], list(corpus.LABELS))
    return sources, FrozenFeatures.open(data / "made_up/features" / NAME, clips), clips.index


def content(probe: Probe) -> list[object]:
    return [value.tobytes() if isinstance(value, np.ndarray) else value for value in vars(probe).values()]


@pytest.mark.parametrize("standardise", ["training", "target"])
def test_labels_of_tested_clips_change_no_classifier(
    data: Path, standardise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, target, index = opened(data)
    fitted: list[Probe] = []
    fit = cross.fit
    monkeypatch.setattr(cross, "fit", lambda *values, **options: fitted.append(fit(*values, **options)) or fitted[-1])
    names = dict(zip(corpus.LABELS, ORDER, strict=True))
    options = {"standardise": standardise, "c": C, "refit": True}
    tables = []
    for labels in (index["label"], np.random.default_rng(0).permutation(index["label"])):
        permuted = index.assign(label=list(labels))
        classes = np.array([corpus.LABELS.index(label) for label in labels])
        _, table = cross.train_and_test(sources, replace(target, classes=classes), permuted, names, **options)
        tables.append(table.set_index("clip").filter(like="p_"))
    assert content(fitted[0]) == content(fitted[1])
    first, second = tables
    both = first.index.intersection(second.index)
    assert 0 < len(both) < len(first) and first.loc[both].equals(second.loc[both])


def test_tested_clips_move_only_their_own_standardisation(data: Path) -> None:
    write_other(data, "emodb", shift=50.0)
    run(data, "emodb")
    _, table = results(data)
    right = (table["label"] == table["predicted"]).groupby(table["standardise"]).mean()
    assert right["target"] == 1.0 and right["training"] < 0.5
    for actor in ("01", "02", "03"):
        path = data / "made_up/features" / NAME / actor / files.ARRAY
        frozen.replace(path, np.load(path) * 3 + 50)
    run(data, "emodb")
    _, moved = results(data)
    columns = [column for column in table if column.startswith("p_")]
    same = {
        way: np.allclose(*(every.loc[every["standardise"] == way, columns] for every in (table, moved)), atol=1e-3)
        for way in ("target", "training")
    }
    assert same == {"target": True, "training": False}


def test_target_statistics_are_of_all_emotions() -> None:
    means = np.random.default_rng(0).normal(3, 2, (20, 2, 4)).astype(np.float32)
    means[:, 1, 2] = 7.0
    target = FrozenFeatures(frozen.FACTS, means, np.zeros(20, np.int64))
    scaled = cross.target_features(target, "target").means
    assert np.allclose(scaled.mean(axis=0), 0, atol=1e-6) and np.allclose(scaled[:, 1, 2], 0)
    assert np.allclose(np.delete(scaled.reshape(20, 8), 6, axis=1).std(axis=0), 1, atol=1e-6)
    assert cross.target_features(target, "training") is target


@pytest.mark.parametrize("refit", [True, False])
def test_every_fourth_speaker_chooses(data: Path, refit: bool) -> None:
    sources, _, _ = opened(data)
    emotions = cross.shared_emotions(sources[:1], ORDER)
    before = cross.fit(sources[:1], emotions, "training", C[:1], refit=refit)
    changed = sources[0].index["actor"].isin(["21", "25"]).to_numpy()  # of 21 to 25
    means = sources[0].means.copy()
    means[changed] += np.float32(0.5)
    after = cross.fit([replace(sources[0], means=means)], emotions, "training", C[:1], refit=refit)
    assert (content(before) == content(after)) != refit


def test_features_of_other_weights_are_refused(data: Path) -> None:
    write_other(data, "emodb", facts=replace(frozen.FACTS, sha256="cd" * 32))
    printed = run(data, "emodb", status=1)
    assert "run.cross.corpora: emodb: its features are of another extractor, of other weights" in printed
    write_other(data, "emodb")
    (data / "emodb/features" / NAME / "22" / files.FACTS).write_text(
        json.dumps(asdict(replace(frozen.FACTS, revision="2")))
    )
    assert "22: was made by another extractor, or with other weights" in run(data, "emodb", status=1)


def test_contaminated_row_is_refused_or_marked(data: Path) -> None:
    seen = replace(frozen.FACTS, trained_on=("made_up",))
    frozen.write(data / "made_up/features" / NAME, data / "made_up/shards", facts=seen)
    write_other(data, "emodb", facts=seen)
    assert f"run.cross.rows: {NAME}: its weights have seen made_up" in run(data, "emodb", status=1)
    run(data, "emodb", **{"probe.allow_seen": True})
    assert results(data)[0].seen == "yes"


def test_same_recording_in_two_corpora_is_refused(data: Path) -> None:
    path = data / "emodb/features" / NAME / "21" / files.INDEX
    recording = shards.read(data / "made_up/shards/01").index["source_md5"][0]
    pd.read_parquet(path).assign(source_md5=recording).to_parquet(path, index=False)
    printed = run(data, "emodb", status=1)
    assert "emodb: its clip 21-anger-0 is also in the corpus that is tested. Remove one" in printed


def test_too_few_emotions_or_speakers_are_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = run(data, "emodb", status=1, **{"cross.labels": {}})
    assert "run.cross.corpora: emodb: shares 1 emotions with made_up: neutral" in printed
    write_other(data, "crema_d", speakers=1)
    assert "crema_d: one speaker alone cannot both train and choose" in run(data, "crema_d", status=1)
    # Of speakers 21 and 22, 21 chooses; fear is left to it.
    write_other(data, "crema_d", speakers=2)
    path = data / "crema_d/features" / NAME / "22" / files.INDEX
    table = pd.read_parquet(path)
    table.assign(label=table["label"].replace("fear", "anger")).to_parquet(path, index=False)
    assert "only speakers that choose the layer have clips of fear" in run(data, "crema_d", status=1)


def test_missing_or_stale_corpus_is_named(data: Path) -> None:
    shutil.rmtree(data / "emodb/features" / NAME / "25")
    again = "is missing. Run `cfnsr check --deep --mend`, `cfnsr preset emodb` and `dvc repro features check` first"
    assert again in run(data, "emodb", status=1)
    write_other(data, "emodb", speakers=5)
    index = pd.read_parquet(data / "emodb/features" / NAME / "21" / files.INDEX)
    folder = data / "emodb/features" / NAME / "21"
    means = np.load(folder / files.ARRAY)
    frozen.write_speaker(folder, index.iloc[1:], means[1:])
    assert "has features of 9 clips, and the manifest lists 10" in run(data, "emodb", status=1)
    shutil.rmtree(data / "emodb/features")
    printed = run(data, "emodb", status=1)
    assert f"emodb/features/{NAME}: {again}" in printed
    shutil.rmtree(data / "emodb")
    assert "emodb/manifest.json: is missing. Run `cfnsr check --deep --mend`, `cfnsr preset emodb`" in run(
        data, "emodb", status=1
    )


def test_corpora_no_longer_listed_are_deleted(data: Path) -> None:
    run(data, "emodb", "crema_d", **{"cross.standardise": ["training"]})
    run(data, "crema_d", **{"cross.standardise": ["training"]})
    assert [path.name for path in (data / "made_up/imported_features" / NAME).iterdir()] == ["crema_d"]
    assert [training.trained_on for training in results(data)[0].trainings] == [["crema_d"]]


def test_damaged_import_is_named(data: Path) -> None:
    run(data, "emodb")
    folder = data / "made_up/imported_features" / NAME / "emodb"
    shutil.copytree(folder, folder.parent / "crema_d")
    with pytest.raises(CfnsrError, match=r"origin\.json: is of emodb, not of crema_d"):
        imported.read(folder.parent / "crema_d")
    means = np.load(folder / imported.ARRAY)
    np.save(folder / imported.ARRAY, means + 1)
    with pytest.raises(CfnsrError, match="its array is damaged"):
        imported.read(folder)
    np.save(folder / imported.ARRAY, means[1:])
    with pytest.raises(CfnsrError, match="holds"):
        imported.read(folder)
    (folder / imported.ORIGIN).write_text("{}")
    with pytest.raises(CfnsrError, match=r"holds|is not the origin of features"):
        imported.read(folder)


def test_skipped_clips_of_the_other_corpus_are_left_out(data: Path) -> None:
    path = data / "emodb/manifest.json"
    values = json.loads(path.read_text())
    values["skipped"], values["clips"]["21"] = {"21/21-anger-0": "silent"}, 9
    path.write_text(json.dumps(values))
    run(data, "emodb")
    assert results(data)[0].trainings[0].training_clips == 39


def test_record_of_another_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match="is missing"):
        CrossRecord.read(tmp_path / "record.json")
    (tmp_path / "record.json").write_text('{"name": "audio"}')
    with pytest.raises(CfnsrError, match="is not a record of what other corpora trained"):
        CrossRecord.read(tmp_path / "record.json")
