from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cfnsr import cells, checkpoint, evaluate, networks, report, shards, train
from cfnsr.errors import CfnsrError
from cfnsr.gate import Gate
from cfnsr.naming import LABELS
from cfnsr.table import cells_of
from tests import corpus

VIDEO = {"layers": [1, 1, 1, 1], "width": 4, "cardinality": 2, "stem_relu": True}
AUDIO = {"dropout": 0.2, "head_dropout": 0.4}
PIXELS = {"mean": [110.0] * 3, "deviation": [40.0] * 3, "order": "rgb"}
CPU = torch.device("cpu")
SHARED = {"seed": 7, "precision": "fp32", "augment": {"flip": 0.5, "shift": 0.1}}
TRAINING = {"epochs": 3, "batch_size": 4, "learning_rate": 0.003, "weight_decay": 0.0}
CFNSR = {
    "residual": True,
    "self_attention": True,
    "cross_modal": True,
    "attention_layers": 1,
    "heads": 8,
    "feed_forward": 32,
    "attention_dropout": 0.1,
    "position_dropout": 0.3,
    "audio_dropout": 0.4,
}


class Run:
    """A small run on a made-up corpus, fold by fold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards = corpus.write(folder / "shards")
        self.gate = corpus.inspected(self.shards)

    def places(self, name: str, fold: str) -> cells.Places:
        return cells.Places(
            self.folder / "models" / name / fold,
            self.folder / "cells" / name / f"{fold}.json",
            self.folder / "predictions" / name / f"{fold}.parquet",
            self.folder / "curves" / name / fold,
        )

    def open(self, fold: str) -> cells.Fold:
        return cells.Fold.open(fold, self.shards, self.gate)

    def cell(self, made: tuple[Any, dict[str, Any]], fold: str) -> cells.Cell:
        return cells.Cell(*made, self.open(fold), self.gate, self.places(made[1]["name"], fold))

    def pretrain(self, modality: str, fold: str) -> None:
        train.make_reproducible(7, 1, CPU)
        options = {"video": VIDEO, "audio": AUDIO}[modality]
        made = networks.unimodal(modality, fold, self.gate, options, seed=7, pixels=PIXELS)
        cells.run(self.cell(made, fold), training=TRAINING, shared=SHARED, device=CPU)

    def fused(self, system: str, options: dict[str, Any], fold: str, models: Path | None = None) -> cells.Cell:
        train.make_reproducible(7, 1, CPU)
        made = networks.fused(system, options, fold, self.gate, models or self.folder / "models", seed=7)
        return self.cell(made, fold)

    def fuse(self, system: str, options: dict[str, Any], fold: str) -> None:
        cell = self.fused(system, options, fold)
        if cell.network.trains:
            cells.run(cell, training=TRAINING, shared=SHARED, device=CPU)
        else:
            cells.combine(cell, self.folder / "predictions")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    one = Run(tmp_path_factory.mktemp("run"))
    for fold in one.gate.folds:
        for modality in checkpoint.MODALITIES:
            one.pretrain(modality, fold)
        one.fuse("averaging", {}, fold)
        one.fuse("cfnsr", CFNSR, fold)
    return one


def predictions(run: Run, name: str, fold: str) -> pd.DataFrame:
    return pd.read_parquet(run.places(name, fold).predictions)


def test_predictions_are_of_the_test_speakers_alone(run: Run) -> None:
    for name in ("video", "audio", "averaging", "cfnsr"):
        table = predictions(run, name, "fold_2")
        without = {"without_video", "without_audio"} if name not in checkpoint.MODALITIES else set()
        assert set(table["actor"]) == {"02"} and set(table["choice"]) == {"selected", "last", "optimistic", *without}
        probabilities = table[[f"p_{label}" for label in LABELS]].to_numpy()
        assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        assert table["predicted"].tolist() == [LABELS[best] for best in probabilities.argmax(axis=1)]


def test_the_saved_model_makes_the_selected_predictions_again(run: Run) -> None:
    for name in ("audio", "cfnsr"):
        network = checkpoint.load(run.places(name, "fold_1").model / "model.safetensors")
        prepare = evaluate.Normalise(**PIXELS, device=torch.device("cpu"))
        from cfnsr.dataset import in_order

        again = np.exp(evaluate.predict(network, in_order(run.open("fold_1").test, 4), prepare))
        table = predictions(run, name, "fold_1")
        kept = table.loc[table["choice"] == "selected", [f"p_{label}" for label in LABELS]].to_numpy()
        assert np.abs(again - kept).max() < 1e-5


def test_the_saved_averaging_model_agrees_with_its_combined_predictions(run: Run) -> None:
    from cfnsr.dataset import in_order

    network = checkpoint.load(run.places("averaging", "fold_3").model / "model.safetensors")
    prepare = evaluate.Normalise(**PIXELS, device=torch.device("cpu"))
    again = np.exp(evaluate.predict(network, in_order(run.open("fold_3").test, 8), prepare))
    table = predictions(run, "averaging", "fold_3")
    kept = table.loc[table["choice"] == "selected", [f"p_{label}" for label in LABELS]].to_numpy()
    assert np.abs(again - kept).max() < 1e-5


def test_the_optimistic_row_of_late_fusion_combines_both_best_test_epochs(run: Run) -> None:
    parts = [
        predictions(run, name, "fold_1").query("choice == 'optimistic'")[[f"p_{label}" for label in LABELS]].to_numpy()
        for name in ("video", "audio", "averaging")
    ]
    assert np.allclose((parts[0] + parts[1]) / 2, parts[2], atol=1e-6)


@pytest.mark.parametrize("modality", checkpoint.MODALITIES)
def test_averaging_without_one_modality_predicts_the_others_class(run: Run, modality: str) -> None:
    other = "audio" if modality == "video" else "video"
    alone = predictions(run, other, "fold_1").query("choice == 'selected'")
    without = predictions(run, "averaging", "fold_1").query(f"choice == 'without_{modality}'")
    assert without["predicted"].tolist() == alone["predicted"].tolist()
    columns = [f"p_{label}" for label in LABELS]
    assert np.allclose(without[columns], (alone[columns].to_numpy() + 1 / 8) / 2, atol=1e-6)


def test_without_the_voice_the_test_speakers_voices_change_nothing(run: Run, tmp_path: Path) -> None:
    """The stand-in is the training speakers': scrambling the test speaker's sound moves no such prediction."""
    other = Run(tmp_path)
    shard = shards.read(other.shards / "01")
    np.save(other.shards / "01" / "mfcc.npy", shard.mfcc[::-1].copy())
    (tmp_path / "models").symlink_to(run.folder / "models")
    cell = other.fused("cfnsr", CFNSR, "fold_1")
    cell = replace(cell, places=other.places("changed", "fold_1"))
    cells.run(cell, training=TRAINING, shared=SHARED, device=CPU)
    ours, theirs = predictions(run, "cfnsr", "fold_1"), predictions(other, "changed", "fold_1")
    for choice, same in (("without_audio", True), ("without_video", False)):
        assert ours.query(f"choice == '{choice}'").equals(theirs.query(f"choice == '{choice}'")) == same


def imported(run: Run, folder: Path, name: str = "audio", **changes: Any) -> Path:
    """A model as the importer leaves it."""
    model = run.places(name, "fold_1").model / "model.safetensors"
    described = checkpoint.specification(model)
    provenance = [{"file": "published.pth", "sha256": "0123456789abcdef" * 4, "differs": []}]
    path = folder / "imported.safetensors"
    checkpoint.save(path, checkpoint.load(model), {**described, "imported": provenance, **changes})
    return path


@pytest.mark.parametrize("name", ["audio", "cfnsr"])
def test_an_imported_network_is_scored_as_it_is(run: Run, tmp_path: Path, name: str) -> None:
    network, described = networks.imported(imported(run, tmp_path, name), name, "fold_1", run.gate, seed=7)
    places = Run.places(replace_folder(run, tmp_path), name, "fold_1")
    cells.score(
        cells.Cell(network, described, run.open("fold_1"), run.gate, places), batch_size=3, device=torch.device("cpu")
    )
    table, trained = pd.read_parquet(places.predictions), predictions(run, name, "fold_1")
    columns = [f"p_{label}" for label in LABELS]
    for choice in ["selected", *(["without_video", "without_audio"] if name == "cfnsr" else [])]:
        ours, theirs = (one.query(f"choice == '{choice}'")[columns].to_numpy() for one in (table, trained))
        assert np.abs(ours - theirs).max() < 1e-5
    assert not {"last", "optimistic"} & set(table["choice"])
    account = json.loads(places.cell.read_text())
    assert account["imported"][0]["file"] == "published.pth" and account["data"] == run.gate.fingerprint
    assert not list(places.curves.iterdir())


def replace_folder(run: Run, folder: Path) -> Run:
    other = Run.__new__(Run)
    other.__dict__.update(run.__dict__, folder=folder)
    return other


@pytest.mark.parametrize(
    ("changes", "asked", "told"),
    [
        ({}, {"name": "video"}, "its system is audio, not video"),
        ({}, {"fold": "fold_2"}, "its fold is fold_1, not fold_2"),
        ({"labels": list(LABELS)[::-1]}, {}, r"its emotions is \['surprised'"),
    ],
)
def test_an_imported_network_of_another_kind_is_refused(
    run: Run, tmp_path: Path, changes: dict[str, Any], asked: dict[str, str], told: str
) -> None:
    path = imported(run, tmp_path, **changes)
    with pytest.raises(CfnsrError, match=told):
        networks.imported(path, **{"name": "audio", "fold": "fold_1", **asked}, gate=run.gate, seed=7)
    other = replace(run.gate, shapes={**run.gate.shapes, "mfcc": [13, 99]})
    with pytest.raises(CfnsrError, match=r"its MFCC is \[13, 36\], not \[13, 99\]"):
        networks.imported(imported(run, tmp_path), "audio", "fold_1", other, seed=7)


def test_a_model_of_our_own_is_provenance_too_and_no_header_reaches_the_page(run: Run, tmp_path: Path) -> None:
    path = imported(run, tmp_path, imported=[])
    _, described = networks.imported(path, "audio", "fold_1", run.gate, seed=7)
    assert described["imported"][0]["file"] == "imported.safetensors"
    assert described["imported"][0]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    path = imported(run, tmp_path, imported=[{"file": "<b>|x", "sha256": "<img>"}])
    _, described = networks.imported(path, "audio", "fold_1", run.gate, seed=7)
    assert described["imported"] == [{"file": "_b__x", "sha256": "_img_", "differs": []}]


def test_how_the_clips_differ_from_those_it_knows_is_told(run: Run, tmp_path: Path) -> None:
    path = imported(run, tmp_path, preprocessing={"size": 32, "extract": {"video": {"frames": 30}}})
    _, described = networks.imported(path, "audio", "fold_1", run.gate, seed=7)
    assert described["imported"][0]["differs"] == ["extract.video.frames was 30, is None", "size was 32, is 16"]
    assert described["preprocessing"] == run.gate.preprocessing


def test_the_table_says_how_they_differ() -> None:
    file = {"file": "a.pth", "sha256": "0123456789abcdef", "differs": ["extract.video.frames was 30, is 4"]}
    account = {"parameters": 5, "protocol": "imported", "seed": 1, "data": "x", "reconstructed": ""}
    accounts = [{**account, "reads": ["audio"], "fold": fold, "imported": [file]} for fold in ("one", "two")]
    table = pd.DataFrame(
        {
            "choice": "selected",
            "label": ["calm", "calm"],
            "predicted": ["calm", "sad"],
            "actor": ["01", "02"],
            "fold": ["one", "two"],
            **{f"p_{label}": [float(label == "calm")] * 2 for label in LABELS},
        }
    )
    gate = Gate("studio", list(LABELS), "held_out", {}, {}, {}, {}, {}, "")
    told = report.row("audio", accounts, table, gate, 0.95).imported
    assert told == "; ".join(
        f"{fold} a.pth (sha256 0123456789ab, made for other clips: extract.video.frames was 30, is 4)"
        for fold in ("one", "two")
    )


def test_nothing_trains_on_imported_models(run: Run, tmp_path: Path) -> None:
    for modality in checkpoint.MODALITIES:
        (tmp_path / modality / "fold_1").mkdir(parents=True)
        imported(run, tmp_path, modality).rename(tmp_path / modality / "fold_1" / "model.safetensors")
    with pytest.raises(CfnsrError, match="cfnsr would train on imported models"):
        run.fused("cfnsr", CFNSR, "fold_1", tmp_path)
    assert run.fused("averaging", {}, "fold_1", tmp_path).specification["imported"]


def test_what_imported_rows_are_made_of_stands_in_the_table(run: Run, tmp_path: Path) -> None:
    """Imported unimodal models, joined: no other epoch is known, and both files are named."""
    other = replace_folder(run, tmp_path)
    for fold in run.gate.folds:
        for modality in checkpoint.MODALITIES:
            path = imported(run, tmp_path, modality, fold=fold)
            network, described = networks.imported(path, modality, fold, run.gate, seed=7)
            places = other.places(modality, fold)
            cells.score(cells.Cell(network, described, run.open(fold), run.gate, places), batch_size=4, device=CPU)
        other.fuse("averaging", {}, fold)
    rows = report.write(
        *(tmp_path / name for name in ("cells", "predictions", "curves")),
        run.gate,
        tmp_path / "out",
        names=["video", "audio", "averaging"],
        level=0.95,
    )
    assert report.read(tmp_path / "out") == rows
    assert rows[0].imported.startswith("fold_1 published.pth (sha256 0123456789ab); fold_2 published.pth")
    assert rows[2].imported.count("published.pth") == 6
    assert {line.protocol for line in rows} == {"imported"} and cells_of(rows[0])[0] == "video, imported"
    assert (rows[0].clips, rows[0].speakers) == (24, 3)
    assert (rows[0].last, rows[0].optimistic, rows[2].optimistic) == (None, None, None)
    assert cells_of(rows[0])[7:12] == ("–",) * 5 and "–" not in cells_of(rows[2])[10:12]
    page = (tmp_path / "out/report.md").read_text()
    assert "Imported, not trained here" in page and "averaging: fold_1 published.pth" in page
    assert "Voice alone: audio." in page and "Face alone: video." in page


def test_curves_are_dvclives_and_the_test_scores_stand_apart(run: Run) -> None:
    folder = run.places("audio", "fold_1").curves
    assert len(pd.read_csv(folder / "plots/metrics/validation/accuracy.tsv", sep="\t")) == 3
    assert pd.read_csv(folder / "test.csv")["epoch"].tolist() == [1, 2, 3]
    assert not any("test" in path.name for path in (folder / "plots").rglob("*"))


def scrambled(run: Run, folder: Path, actor: str) -> Run:
    """The same run, but one speaker's frames, MFCC and emotions are another's."""
    other = Run(folder)
    place = other.shards / actor
    shard = shards.read(place)
    noise = np.random.default_rng(99)
    for name in shards.ARRAYS:
        np.save(place / f"{name}.npy", noise.permutation(getattr(shard, name).copy()))
    index = shard.index.copy()
    index["label"] = index["label"].to_numpy()[::-1]
    index.assign(skipped=None).to_parquet(place / "clips.parquet", index=False)
    return other


@pytest.mark.parametrize(("actor", "role"), [("01", "test"), ("02", "validation"), ("03", "train"), ("04", "train")])
def test_who_can_change_what(run: Run, tmp_path: Path, actor: str, role: str) -> None:
    """Fold 1 tests 01, validates on 02 and trains on 03 and 04: only so much may depend on each."""
    other = scrambled(run, tmp_path, actor)
    other.pretrain("audio", "fold_1")
    ours, theirs = run.places("audio", "fold_1"), other.places("audio", "fold_1")

    def same(path: str) -> bool:
        return (ours.curves / path).read_bytes() == (theirs.curves / path).read_bytes()

    weights = [(place.model / "model.safetensors").read_bytes() for place in (ours, theirs)]
    assert same("plots/metrics/train/loss.tsv") == (role != "train")
    assert same("plots/metrics/validation/loss.tsv") == (role == "test")
    assert same("test.csv") == (role == "validation")
    if role == "test":
        assert weights[0] == weights[1]  # the weights that are kept, so the choice of the epoch too
    if role == "train":
        assert weights[0] != weights[1]


def test_a_fold_opens_the_speakers_of_its_sets(run: Run) -> None:
    for name, sets in run.gate.folds.items():
        fold = run.open(name)
        for role in ("test", "validation", "train"):
            assert tuple(getattr(fold, role).index["actor"].unique()) == getattr(sets, role)


def test_fusing_starts_from_the_unimodal_weights(run: Run) -> None:
    network = run.fused("cfnsr", CFNSR, "fold_1").network
    alone = checkpoint.encoder(run.places("video", "fold_1").model / "model.safetensors")
    for name, value in network.video.state_dict().items():
        assert torch.equal(value, alone.trunk.state_dict()[name])


def test_a_unimodal_model_of_another_fold_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "audio").symlink_to(run.folder / "models" / "audio")
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / "fold_1").symlink_to(run.folder / "models" / "video" / "fold_2")
    with pytest.raises(CfnsrError, match=r"video/fold_1/model\.safetensors: was trained for fold_2"):
        run.fused("cfnsr", CFNSR, "fold_1", tmp_path)


def test_predictions_of_another_fold_are_refused(run: Run, tmp_path: Path) -> None:
    for modality in checkpoint.MODALITIES:
        (tmp_path / modality).mkdir()
        (tmp_path / modality / "fold_1.parquet").symlink_to(run.places(modality, "fold_2").predictions)
    cell = run.fused("averaging", {}, "fold_1")
    with pytest.raises(CfnsrError, match="predictions of other clips than those that fold_1 tests"):
        cells.combine(cell, tmp_path)


def test_a_cell_made_twice_has_the_same_bytes(run: Run, tmp_path: Path) -> None:
    again = Run(tmp_path)
    again.pretrain("audio", "fold_1")
    first, second = run.places("audio", "fold_1"), again.places("audio", "fold_1")
    for old, new in ((first.model, second.model), (first.curves, second.curves)):
        files = sorted(path.relative_to(old) for path in old.rglob("*") if path.is_file())
        assert files == sorted(path.relative_to(new) for path in new.rglob("*") if path.is_file())
        assert all((old / name).read_bytes() == (new / name).read_bytes() for name in files)
    assert first.predictions.read_bytes() == second.predictions.read_bytes()
    assert first.cell.read_bytes() == second.cell.read_bytes()


def write_report(run: Run, out: Path, gate: Gate | None = None) -> list[report.Row]:
    return report.write(
        run.folder / "cells",
        run.folder / "predictions",
        run.folder / "curves",
        gate or run.gate,
        out,
        names=["video", "audio", "averaging", "cfnsr"],
        level=0.95,
    )


def test_the_report_says_what_the_predictions_say(run: Run, tmp_path: Path) -> None:
    rows = {line.name: line for line in write_report(run, tmp_path)}
    for name, line in rows.items():
        tables = pd.concat([predictions(run, name, fold) for fold in run.gate.folds])
        for choice, figure in (("selected", line.accuracy), ("last", line.last), ("optimistic", line.optimistic)):
            part = tables[tables["choice"] == choice]
            assert figure == pytest.approx((part["label"] == part["predicted"]).mean())
        assert line.low <= line.accuracy <= line.high
        assert json.loads((tmp_path / "systems" / f"{name}.json").read_text()) == {
            "accuracy": round(line.accuracy, 4),
            "uar": round(line.uar, 4),
        }
        assert len(pd.read_csv(tmp_path / "confusion" / f"{name}.csv")) == 24
    for name in ("video", "audio"):  # chosen among test epochs, so never below the result
        assert rows[name].optimistic >= rows[name].accuracy
    assert report.read(tmp_path) == list(rows.values())
    page = (tmp_path / "report.md").read_text()
    assert all(" | ".join(cells_of(line)) in page for line in rows.values())
    assert list(pd.read_csv(tmp_path / "curves" / "audio.csv").columns) == [
        "epoch",
        "test_accuracy",
        "train_loss",
        "validation_loss",
        "validation_accuracy",
    ]


def test_skipped_clips_stand_in_the_report_as_text_alone(run: Run, tmp_path: Path) -> None:
    gate = replace(run.gate, skipped={"01/<b>|x": "has `no` sound", "02/y": "black"})
    folders = [run.folder / name for name in ("cells", "predictions", "curves")]
    rows = report.write(*folders, gate, tmp_path, names=["audio"], level=0.95)
    page = (tmp_path / "report.md").read_text()
    assert rows[0].skipped == 2 and "2 more clips could not be used" in page
    assert "| 01/&#60;b&#62;&#124;x | has &#96;no&#96; sound |" in page and "| 02/y | black |" in page
    assert report.read(tmp_path) == rows


def test_the_report_refuses_a_missing_cell_and_one_of_other_data(run: Run, tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match=r"ghost/fold_1\.json: is missing"):
        report.write(
            run.folder / "cells",
            run.folder / "predictions",
            run.folder / "curves",
            run.gate,
            tmp_path,
            names=["ghost"],
            level=0.95,
        )
    other = corpus.inspected(run.shards, preprocessing={"size": 99})
    with pytest.raises(CfnsrError, match=r"video/fold_1\.json: was trained on other data"):
        write_report(run, tmp_path, other)
    assert not list(tmp_path.iterdir())


def test_the_report_refuses_folds_that_differ(run: Run, tmp_path: Path) -> None:
    accounts = [json.loads((run.folder / f"cells/audio/{fold}.json").read_text()) for fold in run.gate.folds]
    tables = pd.concat([predictions(run, "audio", fold).assign(fold=fold) for fold in run.gate.folds])
    assert report.row("audio", accounts, tables, run.gate, 0.95).seed == 7
    for key in ("seed", "protocol", "parameters"):
        with pytest.raises(CfnsrError, match="audio: its folds differ"):
            report.row("audio", [accounts[0], {**accounts[1], key: "other"}, accounts[2]], tables, run.gate, 0.95)


def test_files_that_are_not_our_models_are_refused(tmp_path: Path, run: Run) -> None:
    junk = tmp_path / "model.safetensors"
    junk.write_bytes(b"junk")
    with pytest.raises(CfnsrError, match="cannot be read as safetensors"):
        checkpoint.load(junk)
    with pytest.raises(CfnsrError, match="cannot be read as safetensors"):
        checkpoint.load(tmp_path / "absent.safetensors")
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, junk)
    with pytest.raises(CfnsrError, match="not a model of cfnsr"):
        checkpoint.load(junk)
    with pytest.raises(CfnsrError, match="is not a unimodal model"):
        checkpoint.encoder(run.places("cfnsr", "fold_1").model / "model.safetensors")
