"""How far clips are from the training clips: the figure, the file, and who has a part in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from cfnsr.errors import CfnsrError
from cfnsr.evaluation.reference import FAR, FILE, Reference

CLIPS = np.random.default_rng(0).normal(3, 2, (200, 6)).astype(np.float32)


def test_percentile_is_the_share_of_nearer_training_clips() -> None:
    reference = Reference.of(CLIPS)
    nearest, furthest = np.argsort(reference.distances)[[0, -1]]
    percentiles = reference.percentile(np.stack([CLIPS[nearest], CLIPS[furthest], CLIPS[0] + 100]))
    assert percentiles.tolist() == [0.0, 99.5, 100.0]
    inside = reference.percentile(np.random.default_rng(1).normal(3, 2, (500, 6)))
    assert 45 < np.median(inside) < 60 and (inside >= FAR).mean() < 0.05


def test_distance_does_not_depend_on_the_unit() -> None:
    scale = np.array([1, 10, 0.1, 5, 7, 1000], np.float32)
    np.testing.assert_allclose(Reference.of(CLIPS * scale).distances, Reference.of(CLIPS).distances, rtol=1e-4)
    constant = Reference.of(np.concatenate([CLIPS, np.ones((200, 1))], axis=1))
    assert np.isfinite(constant.distances).all()


def test_joined_is_that_of_all_features() -> None:
    parts = {"video": Reference.of(CLIPS[:, :2], ["encoder.stages"]), "audio": Reference.of(CLIPS[:, 2:], ["encoder"])}
    joined, whole = Reference.joined(parts, {}), Reference.of(CLIPS)
    assert joined.modules == ("video.stages", "audio")
    np.testing.assert_allclose(joined.distances, whole.distances, rtol=1e-6)
    np.testing.assert_allclose(joined.distance(CLIPS + 1), whole.distance(CLIPS + 1))


def test_file_returns_what_was_written(tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    assert Reference.beside(model) is None
    means = {"audio": np.ones((3, 2), np.float32), "video": np.zeros(4, np.float32)}
    written = Reference.of(CLIPS, ["video", "audio"], means)
    written.write(model)
    before = (tmp_path / FILE).read_bytes()
    known = Reference.beside(model)
    assert known is not None and known.modules == ("video", "audio")
    assert all(np.array_equal(known.means[name], mean) for name, mean in means.items())
    assert np.array_equal(known.percentile(CLIPS), written.percentile(CLIPS))
    written.write(model)
    assert (tmp_path / FILE).read_bytes() == before


def test_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"text")
    with pytest.raises(CfnsrError, match=r"reference\.safetensors: is not what was written beside a model"):
        Reference.beside(tmp_path / "model.safetensors")
    save_file(
        {"mean": CLIPS[0], "std": CLIPS[0, :2], "distances": CLIPS[0]}, tmp_path / FILE, {"cfnsr": '{"modules": []}'}
    )
    with pytest.raises(CfnsrError, match="do not fit each other"):
        Reference.beside(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name, value", [("mean", np.nan), ("std", 0.0), ("distances", np.inf)])
def test_numbers_that_give_no_distance_are_refused(tmp_path: Path, name: str, value: float) -> None:
    known = Reference.of(CLIPS)
    replace(known, **{name: np.full_like(getattr(known, name), value)}).write(tmp_path / "model.safetensors")
    with pytest.raises(CfnsrError, match="is not what was written beside a model"):
        Reference.beside(tmp_path / "model.safetensors")
