"""The same probabilities as the pipeline's, window for window; and what happens where a modality is missing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import cfnsr
from cfnsr.corpora.clip import Clip
from cfnsr.data.dataset import Clips
from cfnsr.evaluation.predict import Predictor
from cfnsr.inference.model import Model
from cfnsr.preprocessing import media
from tests.inference.conftest import Saved
from tests.support import networks, zoo

NAMES = ["video", "audio", *zoo.OPTIONS]


def probabilities(table: pd.DataFrame, prefix: str = "p_") -> np.ndarray:
    return table[[column for column in table if str(column).startswith(prefix)]].to_numpy(float)


def predict(model: Model, clips: list[Clip]) -> pd.DataFrame:
    """Predict each clip in one window as long as the clip."""
    tables = [model.predict(clip.path, window_s=media.timeline(clip.path).duration_s) for clip in clips]
    return pd.concat(tables, ignore_index=True)


@pytest.mark.parametrize("name", NAMES)
def test_windows_are_predicted_as_the_pipelines_clips(
    name: str, saved: Callable[..., Saved], by_openface: tuple[list[Clip], Clips]
) -> None:
    path, network = saved(name)
    clips, arrays = by_openface
    expected = np.exp(Predictor(network, networks.NORMALISE, 2).predict(arrays))
    table = predict(cfnsr.load(path, device="cpu"), clips)
    assert len(table) == len(clips) and (table["missing"] == "").all()
    assert np.ptp(expected, axis=0).max() > 1e-3  # other arrays would give other probabilities
    np.testing.assert_allclose(probabilities(table), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["video", "cfnsr"])
def test_detected_faces_are_those_of_the_pipeline(
    name: str, saved: Callable[..., Saved], by_face_mesh: tuple[list[Clip], Clips]
) -> None:
    path, network = saved(name, "face_mesh")
    clips, arrays = by_face_mesh
    model = cfnsr.load(path, device="cpu")
    table = predict(model, clips)
    expected = np.exp(Predictor(network, networks.NORMALISE, 2).predict(arrays))
    np.testing.assert_allclose(probabilities(table), expected, atol=1e-5)
    assert model.predict(clips[0].path).attrs["landmarks"] == {str(clips[0].path): "face_mesh"}
    assert (table["person"] == 0).all() and table["box_side"].between(50, 300).all()
