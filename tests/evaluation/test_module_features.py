"""The features of a network: every system gives some, one vector a clip, whatever the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cfnsr.evaluation.module_features import as_vectors, describe, feature_modules, recorded
from cfnsr.models import fusion
from cfnsr.models.types import Batch
from tests.support.zoo import clips, small_scale


@pytest.mark.parametrize("name", fusion.names())
def test_each_network_gives_one_vector_a_clip(name: str) -> None:
    network, batch = small_scale(name).eval(), clips(3)
    modules = feature_modules(network)
    alone = [
        Batch({key: value[row : row + 1] for key, value in batch.arrays.items()}, batch.label[row : row + 1])
        for row in range(3)
    ]
    with torch.inference_mode(), recorded(network, modules) as outputs:
        prediction = network(batch).fused
        vectors = as_vectors(outputs, modules)
        parts = []
        for single in alone:
            network(single)
            parts.append(as_vectors(outputs, modules))
    assert vectors.shape[0] == 3 and vectors.shape[1] > prediction.shape[1] and np.isfinite(vectors).all()
    np.testing.assert_allclose(vectors, np.concatenate(parts), atol=1e-4)
    reference = describe(network, [batch])
    assert reference.modules == tuple(modules) and len(reference.mean) == vectors.shape[1]
    np.testing.assert_allclose(reference.distance(vectors), reference.distances, rtol=1e-3)


def test_nothing_is_recorded_afterwards() -> None:
    network = small_scale("eranns").eval()
    with torch.inference_mode(), recorded(network, ["stages"]) as outputs:
        network(clips(2))
    before = outputs["stages"]
    network(clips(3))
    assert outputs["stages"] is before
