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

from cfnsr import config
from cfnsr.corpora.filenames import LABELS
from cfnsr.data import dataset, shards
from cfnsr.data.fold import FoldDatasets
from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.evaluation import device, predict
from cfnsr.evaluation.outputs import Job, JobPaths, combining, scoring, training
from cfnsr.models import checkpoint
from cfnsr.report import files, pooling, results, significance
from cfnsr.report.expected import ExpectedOutputs
from cfnsr.report.rows import ResultRow
from cfnsr.report.table import COLUMNS, cells_of
from cfnsr.training import initial
from cfnsr.training.lesson import lesson_of
from cfnsr.training.settings import Recipe
from tests.support import corpus

SHIPPED: dict[str, Any] = config.load(Path(__file__).parents[2] / "params.yaml").train.model_dump()
VIDEO = {"layers": [1, 1, 1, 1], "width": 4, "cardinality": 2, "stem_relu": True}
AUDIO = {"dropout": 0.2, "head_dropout": 0.4}
PLACES = ("model", "cell", "predictions", "curves")
PIXELS = {"mean": [110.0] * 3, "deviation": [40.0] * 3, "order": "rgb"}
CPU = torch.device("cpu")
SHARED = SHIPPED | {
    "augment": SHIPPED["augment"] | {"video": SHIPPED["augment"]["video"] | {"flip": 0.5, "shift": 0.1}}
}
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
        self.manifest = corpus.inspected(self.shards)

    def places(self, name: str, fold: str, protocol: str = "held_out") -> JobPaths:
        trial = corpus.trial(fold, protocol)
        return JobPaths(
            trial.within(self.folder / "models" / protocol, name),
            trial.within(self.folder / "cells" / protocol, name, ".json"),
            trial.within(self.folder / "predictions" / protocol, name, ".parquet"),
            trial.within(self.folder / "curves" / protocol, name),
            trial.within(self.folder / "resume" / protocol, name),
        )

    @property
    def made(self) -> results.Made:
        return results.Made(*(self.folder / name for name in ("cells", "predictions", "curves")))

    def wanted(self, *names: str, protocol: str = "held_out") -> ExpectedOutputs:
        trials = [corpus.trial(fold, protocol) for fold in self.manifest.folds]
        return ExpectedOutputs({(protocol, name): trials for name in names})

    def open(self, fold: str, protocol: str = "held_out") -> FoldDatasets:
        return FoldDatasets.open(corpus.trial(fold, protocol), self.shards, self.manifest)

    def cell(self, made: tuple[Any, dict[str, Any]], fold: str, protocol: str = "held_out") -> Job:
        places = self.places(made[1]["name"], fold, protocol)
        return Job(*made, self.open(fold, protocol), self.manifest, places)

    def pretrain(self, modality: str, fold: str, protocol: str = "held_out") -> None:
        device.make_reproducible(7, 1, CPU)
        options = {"video": VIDEO, "audio": AUDIO}[modality]
        made = initial.unimodal(modality, corpus.trial(fold, protocol), self.manifest, options, pixels=PIXELS)
        training.run(self.cell(made, fold, protocol), training=TRAINING, shared=SHARED, place=CPU)

    def fused(
        self,
        system: str,
        options: dict[str, Any],
        fold: str,
        models: Path | None = None,
        protocol: str = "held_out",
        freeze: bool = False,
    ) -> Job:
        device.make_reproducible(7, 1, CPU)
        trial = corpus.trial(fold, protocol)
        made = initial.fused(
            system, options, trial, self.manifest, models or self.folder / "models" / protocol, freeze=freeze
        )
        return self.cell(made, fold, protocol)

    def fuse(self, system: str, options: dict[str, Any], fold: str, protocol: str = "held_out") -> None:
        cell = self.fused(system, options, fold, protocol=protocol)
        if cell.network.trains:
            training.run(cell, training=TRAINING, shared=SHARED, place=CPU)
        else:
            combining.combine(cell, self.folder / "predictions" / protocol)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    one = Run(tmp_path_factory.mktemp("run"))
    for fold in one.manifest.folds:
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
        validation = table["choice"] == "validation"
        assert set(table.loc[validation, "actor"]) == {"03"}
        table = table[~validation]
        without = {"without_video", "without_audio"} if name not in checkpoint.MODALITIES else set()
        assert set(table["actor"]) == {"02"} and set(table["choice"]) == {
            "selected",
            "last_epoch",
            "best_test_epoch",
            *without,
        }
        probabilities = table[[f"p_{label}" for label in LABELS]].to_numpy()
        assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        assert table["predicted"].tolist() == [LABELS[best] for best in probabilities.argmax(axis=1)]


def test_the_saved_model_makes_the_selected_predictions_again(run: Run) -> None:
    for name in ("audio", "cfnsr"):
        network = checkpoint.load(run.places(name, "fold_1").model / "model.safetensors")
        prepare = predict.Normalise(**PIXELS, device=torch.device("cpu"))
        from cfnsr.data.dataset import in_order

        again = np.exp(predict.predict(network, in_order(run.open("fold_1").test, 4), prepare))
        table = predictions(run, name, "fold_1")
        kept = table.loc[table["choice"] == "selected", [f"p_{label}" for label in LABELS]].to_numpy()
        assert np.abs(again - kept).max() < 1e-5


def imported(run: Run, folder: Path, name: str = "audio", **changes: Any) -> Path:
    """A model as the importer leaves it."""
    model = run.places(name, "fold_1").model / "model.safetensors"
    described = checkpoint.specification(model)
    provenance = [{"file": "published.pth", "sha256": "0123456789abcdef" * 4, "differs": []}]
    path = folder / "imported.safetensors"
    checkpoint.save(path, checkpoint.load(model), {**described, "imported": provenance, **changes})
    return path


def replace_folder(run: Run, folder: Path) -> Run:
    other = Run.__new__(Run)
    other.__dict__.update(run.__dict__, folder=folder)
    return other


def test_the_table_says_how_they_differ() -> None:
    file = {"file": "a.pth", "sha256": "0123456789abcdef", "differs": ["extract.video.frames was 30, is 4"]}
    account = {
        "parameters": 5,
        "protocol": "imported",
        "seed": 1,
        "data": "x",
        "reconstructed": "",
        "published_accuracy": None,
    }
    accounts = [{**account, "reads": ["audio"], "fold": fold, "imported": [file]} for fold in ("one", "two")]
    table = pd.DataFrame(
        {
            "choice": "selected",
            "label": ["calm", "calm"],
            "predicted": ["calm", "sad"],
            "actor": ["01", "02"],
            "clip": ["a", "a"],
            "fold": ["one", "two"],
            "seed": 1,
            **{f"p_{label}": [float(label == "calm")] * 2 for label in LABELS},
        }
    )
    manifest = Manifest("studio", list(LABELS), {"held_out": {}}, {}, {}, {}, {}, "", {})
    line = pooling.pooled("audio", accounts, table, manifest, 0.95)
    assert line.clips == 2
    assert line.imported == "; ".join(
        f"{fold} a.pth (sha256 0123456789ab, made for other clips: extract.video.frames was 30, is 4)"
        for fold in ("one", "two")
    )


def test_nothing_trains_on_imported_models(run: Run, tmp_path: Path) -> None:
    for modality in checkpoint.MODALITIES:
        model = corpus.trial("fold_1").within(tmp_path, modality) / "model.safetensors"
        model.parent.mkdir(parents=True)
        imported(run, tmp_path, modality).rename(model)
    with pytest.raises(CfnsrError, match="cfnsr would train on imported models"):
        run.fused("cfnsr", CFNSR, "fold_1", tmp_path)
    assert run.fused("averaging", {}, "fold_1", tmp_path).specification["imported"]


def test_what_imported_rows_are_made_of_stands_in_the_table(run: Run, tmp_path: Path) -> None:
    """Imported unimodal models, joined: no other epoch is known, and both files are named."""
    other = replace_folder(run, tmp_path)
    for fold in run.manifest.folds:
        for modality in checkpoint.MODALITIES:
            path = imported(run, tmp_path, modality, fold=fold)
            network, described = initial.imported(path, modality, corpus.trial(fold), run.manifest)
            places = other.places(modality, fold)
            scoring.score(Job(network, described, run.open(fold), run.manifest, places), batch_size=4, place=CPU)
        other.fuse("averaging", {}, fold)
    wanted = other.wanted("video", "audio", "averaging")
    rows = reported(other.made, run.manifest, tmp_path / "out", wanted=wanted, level=0.95)
    assert files.read(tmp_path / "out") == rows
    assert rows[0].imported.startswith("fold_1 published.pth (sha256 0123456789ab); fold_2 published.pth")
    assert rows[2].imported.count("published.pth") == 6
    assert {line.protocol for line in rows} == {"imported"} and cells_of(rows[0])[0] == "video, imported"
    assert (rows[0].clips, rows[0].speakers) == (24, 3)
    assert (rows[0].last, rows[0].optimistic, rows[2].optimistic) == (None, None, None)
    told = dict(zip([column.name for column in COLUMNS], cells_of(rows[0]), strict=True))
    dashes = {"± seeds", "ECE scaled", "Last epoch", "Optimistic", "Gap", "No face", "No voice"}
    assert {column for column, text in told.items() if text == "–"} == dashes
    assert rows[2].without_video is not None and rows[2].without_audio is not None
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


def test_fusing_starts_from_the_unimodal_weights(run: Run) -> None:
    network = run.fused("cfnsr", CFNSR, "fold_1").network
    alone = checkpoint.encoder(run.places("video", "fold_1").model / "model.safetensors")
    for name, value in network.video.state_dict().items():
        assert torch.equal(value, alone.trunk.state_dict()[name])


def test_a_unimodal_model_of_another_fold_is_refused(run: Run, tmp_path: Path) -> None:
    models = run.folder / "models" / "held_out"
    (tmp_path / "audio").symlink_to(models / "audio")
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / "fold_1").symlink_to(models / "video" / "fold_2")
    with pytest.raises(CfnsrError, match=r"video/fold_1/7/model\.safetensors: was trained for fold fold_2, not fold_1"):
        run.fused("cfnsr", CFNSR, "fold_1", tmp_path)


@pytest.mark.parametrize(("key", "value"), [("protocol", "test_selected"), ("seed", 8), ("data", "other")])
def test_a_unimodal_model_of_another_protocol_seed_or_data_is_refused(
    run: Run, tmp_path: Path, key: str, value: object
) -> None:
    """One of the published protocol has learned from the speakers who would choose the epoch."""
    for modality in checkpoint.MODALITIES:
        model = run.places(modality, "fold_1").model / "model.safetensors"
        changed = {**checkpoint.specification(model), key: value}
        checkpoint.save(
            corpus.trial("fold_1").within(tmp_path, modality) / "model.safetensors", checkpoint.load(model), changed
        )
    with pytest.raises(CfnsrError, match=f"was trained for {key} {value}, not "):
        run.fused("cfnsr", CFNSR, "fold_1", tmp_path)


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


def reported(
    made: results.Made, manifest: Manifest, out: Path, *, wanted: ExpectedOutputs, level: float
) -> list[ResultRow]:
    found = results.gather(made, manifest, wanted=wanted, level=level)
    files.write(out, found, manifest)
    return found.rows


def write_report(run: Run, out: Path, manifest: Manifest | None = None) -> list[ResultRow]:
    wanted = run.wanted("video", "audio", "averaging", "cfnsr")
    return reported(run.made, manifest or run.manifest, out, wanted=wanted, level=0.95)


def test_the_report_says_what_the_predictions_say(run: Run, tmp_path: Path) -> None:
    rows = {line.name: line for line in write_report(run, tmp_path)}
    for name, line in rows.items():
        tables = pd.concat([predictions(run, name, fold) for fold in run.manifest.folds])
        for choice, figure in (
            ("selected", line.accuracy),
            ("last_epoch", line.last),
            ("best_test_epoch", line.best_test_epoch),
        ):
            part = tables[tables["choice"] == choice]
            assert figure == pytest.approx((part["label"] == part["predicted"]).mean())
        assert line.low <= line.accuracy <= line.high
        measured = json.loads((tmp_path / "metrics.json").read_text())
        assert list(measured) == ["accuracy", "uar", "clips", "skipped"] and measured["clips"] == 24
        assert measured["accuracy"][name] == round(line.accuracy, 4) and measured["uar"][name] == round(line.uar, 4)
        assert len(pd.read_csv(tmp_path / "confusion" / f"{name}.csv")) == 24
    for name in ("video", "audio"):  # chosen among test epochs, so never below the result
        assert rows[name].optimistic >= rows[name].accuracy
    assert files.read(tmp_path) == list(rows.values())
    page = (tmp_path / "report.md").read_text()
    assert all(" | ".join(cells_of(line)) in page for line in rows.values())
    assert list(pd.read_csv(tmp_path / "curves" / "audio.csv").columns) == [
        "epoch",
        "test_accuracy",
        "train_loss",
        "validation_loss",
        "validation_accuracy",
        "trials",
    ]


def test_skipped_clips_stand_in_the_report_as_text_alone(run: Run, tmp_path: Path) -> None:
    manifest = replace(run.manifest, skipped={"01/<b>|x": "has `no` sound", "02/y": "black"})
    rows = reported(run.made, manifest, tmp_path, wanted=run.wanted("audio"), level=0.95)
    page = (tmp_path / "report.md").read_text()
    assert rows[0].skipped == 2 and "2 more clips could not be used" in page
    assert "| 01/&#60;b&#62;&#124;x | has &#96;no&#96; sound |" in page and "| 02/y | black |" in page
    assert files.read(tmp_path) == rows


def test_the_report_refuses_a_missing_cell_and_one_of_other_data(run: Run, tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match=r"ghost/fold_1/7\.json: is missing"):
        reported(run.made, run.manifest, tmp_path, wanted=run.wanted("ghost"), level=0.95)
    other = corpus.inspected(run.shards, preprocessing={"size": 99})
    with pytest.raises(CfnsrError, match=r"video/fold_1/7\.json: was trained on other data"):
        write_report(run, tmp_path, other)
    assert not list(tmp_path.iterdir())


def test_the_report_refuses_folds_that_differ(run: Run, tmp_path: Path) -> None:
    accounts = [json.loads(run.places("audio", fold).cell.read_text()) for fold in run.manifest.folds]
    tables = pd.concat([predictions(run, "audio", fold).assign(fold=fold, seed=7) for fold in run.manifest.folds])
    assert pooling.pooled("audio", accounts, tables, run.manifest, 0.95).seeds == "7"
    for key in ("protocol", "parameters"):
        with pytest.raises(CfnsrError, match="audio: its folds differ"):
            pooling.pooled(
                "audio", [accounts[0], {**accounts[1], key: "other"}, accounts[2]], tables, run.manifest, 0.95
            )


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


@pytest.fixture(scope="module")
def published(run: Run) -> Run:
    """The same run with cells of the published protocol beside."""
    for fold in run.manifest.folds:
        for modality in checkpoint.MODALITIES:
            run.pretrain(modality, fold, "test_selected")
        run.fuse("averaging", {}, fold, "test_selected")
    return run


def test_the_published_protocol_learns_from_all_others_and_chooses_by_those_tested(published: Run) -> None:
    fold = published.open("fold_1", "test_selected")
    assert fold.validation is None and fold.selection_split is fold.test
    assert fold.train.index["actor"].unique().tolist() == ["02", "03", "04"]
    places = published.places("audio", "fold_1", "test_selected")
    table = pd.read_parquet(places.predictions)
    assert set(table["choice"]) == {"selected", "last_epoch", "best_test_epoch"}
    right = table.assign(right=table["label"] == table["predicted"]).groupby("choice")["right"].mean()
    assert right["selected"] == right["best_test_epoch"]
    tested = pd.read_csv(places.curves / "test.csv")["accuracy"]
    chosen = pd.read_csv(places.curves / "plots/metrics/validation/accuracy.tsv", sep="\t")["accuracy"]
    assert tested.tolist() == pytest.approx(chosen.tolist()) and right["selected"] == pytest.approx(tested.max())
    assert json.loads(places.cell.read_text())["protocol"] == "test_selected"


def test_published_rows_stand_beside_held_out_and_say_what_they_are(published: Run, tmp_path: Path) -> None:
    names = ("video", "audio", "averaging")
    wanted = ExpectedOutputs(
        {**published.wanted(*names).rows, **published.wanted(*names, protocol="test_selected").rows}
    )
    rows = {
        line.name: line for line in reported(published.made, published.manifest, tmp_path, wanted=wanted, level=0.9)
    }
    turned = ExpectedOutputs(dict(reversed(wanted.rows.items())))
    others = reported(published.made, published.manifest, tmp_path / "turned", wanted=turned, level=0.9)
    assert {line.name: line.gap for line in others} == {name: line.gap for name, line in rows.items()}
    assert list(rows) == [*names, *(f"{name}@published" for name in names)]
    for name in names:
        held_out, other = rows[name], rows[f"{name}@published"]
        assert other.gap == pytest.approx(other.accuracy - held_out.accuracy)
        assert held_out.gap == pytest.approx(held_out.best_test_epoch - held_out.accuracy)
        assert other.temperature is None and other.ece_scaled is None and held_out.temperature is not None
        assert cells_of(other)[0] == f"{name}@published, optimistic"
        measured = json.loads((tmp_path / "metrics.json").read_text())
        assert set(measured["accuracy"]) == set(names)  # what test speakers chose is never called accuracy
        assert measured["optimistic_accuracy"][f"{name}@published"] == round(other.accuracy, 4)
    compared = files.read_differences(tmp_path)
    assert {one.one for one in compared} | {one.other for one in compared} == set(names)
    page = (tmp_path / "report.md").read_text()
    assert "nobody validates, and the test speakers choose the epoch" in page
    assert files.read(tmp_path) == list(rows.values())
    alone = ExpectedOutputs(published.wanted("audio", protocol="test_selected").rows)
    (line,) = reported(published.made, published.manifest, tmp_path / "alone", wanted=alone, level=0.9)
    assert line.gap is None and "held_out" not in (tmp_path / "alone/report.md").read_text()


def test_several_seeds_are_pooled_and_their_spread_told_apart(run: Run, tmp_path: Path) -> None:
    """A second seed, made up: of the first one's predictions every fold's first three clips are wrong."""
    other = replace_folder(run, tmp_path)
    trials = []
    for fold in run.manifest.folds:
        for seed in (7, 8):
            trial = corpus.trial(fold, seed=seed)
            trials.append(trial)
            account = json.loads(run.places("audio", fold).cell.read_text()) | {"seed": seed}
            path = trial.within(tmp_path / "cells/held_out", "audio", ".json")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(account | {"epochs": 0}))
            table = predictions(run, "audio", fold)
            if seed == 8:
                first = table["clip"].isin(table["clip"].unique()[:3]) & (table["choice"] == "selected")
                table.loc[first, "predicted"] = "nothing"
            path = trial.within(tmp_path / "predictions/held_out", "audio", ".parquet")
            path.parent.mkdir(parents=True, exist_ok=True)
            table.to_parquet(path)
    wanted = ExpectedOutputs({("held_out", "audio"): trials})
    (line,) = reported(other.made, run.manifest, tmp_path / "out", wanted=wanted, level=0.95)
    (alone,) = reported(run.made, run.manifest, tmp_path / "alone", wanted=run.wanted("audio"), level=0.95)
    assert line.seeds == "7 8" and line.clips == alone.clips == 24
    assert pd.read_csv(tmp_path / "out/recall.csv")["clips"].sum() == 24
    both = [predictions(run, "audio", fold).query("choice == 'selected'") for fold in run.manifest.folds]
    shares = np.array([[(one["label"] == one["predicted"]).mean() for one in both]]).T.repeat(2, axis=1)
    lost = [(one["label"] == one["predicted"])[:3].sum() / 8 for one in both]
    shares[:, 1] -= lost
    assert line.accuracy == pytest.approx(shares.mean()) and alone.accuracy == pytest.approx(shares[:, 0].mean())
    assert (line.deviation, line.seed_deviation) == pytest.approx(significance.spread(shares))
    assert alone.seed_deviation is None


def test_frozen_encoders_stay_and_the_rest_learns(run: Run) -> None:
    cell = run.fused("cfnsr", CFNSR, "fold_1", freeze=True)
    before = {name: value.clone() for name, value in cell.network.state_dict().items()}
    cell = replace(cell, places=replace(cell.places, **{name: run.folder / "frozen" / name for name in PLACES}))
    training.run(cell, training=TRAINING, shared=SHARED, place=CPU)
    after = cell.network.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed and not {name for name in changed if name.partition(".")[0] in {"video", "audio"}}


def test_modality_dropout_is_for_systems_that_read_both(run: Run) -> None:
    changes = {**SHARED["augment"], "modality_dropout": 1.0}
    recipe = Recipe.of(TRAINING, SHARED, "fp32")
    prepare = predict.Normalise(**PIXELS, device=CPU)
    fold = run.open("fold_1")
    batch = fold.train.__getitems__([0, 1, 2, 3])
    for name, network in (
        ("cfnsr", run.fused("cfnsr", CFNSR, "fold_1").network),
        ("audio", checkpoint.load(run.places("audio", "fold_1").model / "model.safetensors")),
    ):
        made = lesson_of(network, fold, recipe, changes, prepare)._augment(batch)
        lost = made.frames.is_floating_point() or not torch.equal(made.mfcc, batch.mfcc)
        assert lost == (name == "cfnsr")
