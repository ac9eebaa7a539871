from __future__ import annotations


def test_where_a_system_looks_stands_beside_its_predictions(run: Run) -> None:
    """Of the selected epoch's rows alone; a moment's cells sum to one; made again by the saved model."""
    table = predictions(run, "cfnsr", "fold_1")
    assert set(table.loc[table["attention"].notna(), "choice"]) == {"selected"}
    chosen = table[table["choice"] == "selected"]
    attended = np.array([[np.stack(list(step)) for step in one] for one in chosen["attention"]])
    assert attended.shape == (8, 1, 1, 1) and np.allclose(attended.sum(axis=(2, 3)), 1, atol=1e-5)
    network = checkpoint.load(run.places("cfnsr", "fold_1").model / "model.safetensors")
    prepare = predict.Normalise(**PIXELS, device=CPU)
    again = predict.attention(network, dataset.in_order(run.open("fold_1").test, 4), prepare)
    np.testing.assert_allclose(again, attended, atol=1e-5)
    for name in ("video", "averaging"):
        assert "attention" not in predictions(run, name, "fold_1")
