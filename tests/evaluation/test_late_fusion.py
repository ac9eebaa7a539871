from __future__ import annotations


def test_the_saved_averaging_model_agrees_with_its_combined_predictions(run: Run) -> None:
    from cfnsr.data.dataset import in_order

    network = checkpoint.load(run.places("averaging", "fold_3").model / "model.safetensors")
    prepare = predict.Normalise(**PIXELS, device=torch.device("cpu"))
    again = np.exp(predict.predict(network, in_order(run.open("fold_3").test, 8), prepare))
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


def test_predictions_of_another_fold_are_refused(run: Run, tmp_path: Path) -> None:
    for modality in checkpoint.MODALITIES:
        file = corpus.trial("fold_1").within(tmp_path, modality, ".parquet")
        file.parent.mkdir(parents=True)
        file.symlink_to(run.places(modality, "fold_2").predictions)
    cell = run.fused("averaging", {}, "fold_1")
    with pytest.raises(CfnsrError, match="predictions of other clips than those of fold_1 under held_out"):
        combining.combine(cell, tmp_path)
