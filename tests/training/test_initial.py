from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from cfnsr.training import initial
from tests.support import corpus, networks


def test_arrays_decide_the_size_of_encoders(tmp_path: Path) -> None:
    manifest = corpus.manifest(corpus.write(tmp_path))
    wider = replace(manifest, shapes={**manifest.shapes, "mfcc": [13, 72]})
    sizes = []
    for made_up in (manifest, wider):
        network, spec = initial.unimodal(
            "audio", networks.ENCODERS["audio"], corpus.trial("fold_1"), made_up, pixels=networks.PIXELS
        )
        assert spec == networks.spec("audio", made_up, corpus.trial("fold_1"))
        sizes.append(sum(value.numel() for value in network.parameters()))
    assert sizes[0] < sizes[1]


def test_torchs_seed_decides_fresh_weights(tmp_path: Path) -> None:
    manifest = corpus.manifest(corpus.write(tmp_path))
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        network, _ = initial.unimodal(
            "video", networks.ENCODERS["video"], corpus.trial("fold_1"), manifest, pixels=networks.PIXELS
        )
        weights.append(torch.cat([value.flatten() for value in network.parameters()]))
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
