from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cfnsr.data.jobs import JobPaths
from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.evaluation import initial
from cfnsr.models import checkpoint
from tests.support import corpus, networks

TRIAL = corpus.trial("fold_1")
CFNSR = networks.OPTIONS["cfnsr"]
FILES = [{"file": "published.pth", "sha256": "0123", "differs": []}]


def copied(corpus_folder: Path, folder: Path, **changes: Any) -> Path:
    """Copy the unimodal networks, with changes in their specs."""
    for modality in networks.ENCODERS:
        source = JobPaths.of(corpus_folder, modality, TRIAL).checkpoint
        spec = replace(checkpoint.read_spec(source), **changes)
        checkpoint.save(JobPaths.of(folder, modality, TRIAL).checkpoint, checkpoint.load(source), spec)
    return folder


def test_a_system_starts_from_the_unimodal_weights(corpus_folder: Path, manifest: Manifest) -> None:
    network, spec = initial.fused("cfnsr", CFNSR, TRIAL, corpus_folder, manifest)
    weights = network.state_dict()
    for modality in networks.ENCODERS:
        encoder = checkpoint.load_encoder(JobPaths.of(corpus_folder, modality, TRIAL).checkpoint)
        values = encoder.stages.state_dict().values()
        assert all(any(torch.equal(value, own) for own in weights.values()) for value in values)
    assert spec == networks.spec("cfnsr", manifest, TRIAL)


def test_frozen_encoders_leave_the_rest_to_train(corpus_folder: Path, manifest: Manifest) -> None:
    network, _ = initial.fused("cfnsr", CFNSR, TRIAL, corpus_folder, manifest, freeze_encoders=True)
    frozen = sum(value.numel() for value in network.parameters() if not value.requires_grad)
    encoders = (
        checkpoint.load_encoder(JobPaths.of(corpus_folder, modality, TRIAL).checkpoint)
        for modality in networks.ENCODERS
    )
    assert frozen == sum(value.numel() for encoder in encoders for value in encoder.stages.parameters())
    assert any(value.requires_grad for value in network.parameters())


@pytest.mark.parametrize(
    ("key", "value"), [("protocol", "test_selected"), ("fold", "fold_2"), ("seed", 8), ("data", "other")]
)
def test_unimodal_networks_of_another_trial_are_refused(
    corpus_folder: Path, manifest: Manifest, tmp_path: Path, key: str, value: object
) -> None:
    """They may have been trained on this trial's test or validation speakers."""
    copied(corpus_folder, tmp_path, **{key: value})
    with pytest.raises(CfnsrError, match=rf"model\.safetensors: was trained for {key} {value}, not "):
        initial.fused("cfnsr", CFNSR, TRIAL, tmp_path, manifest)


def test_networks_of_other_speakers_are_refused(corpus_folder: Path, manifest: Manifest, tmp_path: Path) -> None:
    """The fold has kept its name, and two of its sets have changed places."""
    copied(corpus_folder, tmp_path, speakers={"test": ["02"], "validation": ["01"], "train": ["03", "04"]})
    with pytest.raises(CfnsrError, match=r"model\.safetensors: its test speakers are 02, the fold's are 01\. Run `dvc"):
        initial.fused("cfnsr", CFNSR, TRIAL, tmp_path, manifest)
    copied(corpus_folder, tmp_path, speakers={})
    with pytest.raises(CfnsrError, match="does not say whose clips it was made from"):
        initial.fused("cfnsr", CFNSR, TRIAL, tmp_path, manifest)


def test_no_system_trains_on_imported_networks(corpus_folder: Path, manifest: Manifest, tmp_path: Path) -> None:
    copied(corpus_folder, tmp_path, imported=FILES, protocol="imported")
    with pytest.raises(CfnsrError, match="cfnsr would train on imported networks"):
        initial.fused("cfnsr", CFNSR, TRIAL, tmp_path, manifest)
    _, spec = initial.fused("averaging", {}, TRIAL, tmp_path, manifest)
    assert spec.imported == [*FILES, *FILES] and spec.protocol == "held_out"


def test_arrays_decide_the_size_of_encoders(manifest: Manifest) -> None:
    wider = replace(manifest, shapes={**manifest.shapes, "mfcc": [13, 72]})
    sizes = []
    for described in (manifest, wider):
        network, spec = initial.unimodal("audio", networks.ENCODERS["audio"], TRIAL, described, pixels=networks.PIXELS)
        assert spec == networks.spec("audio", described, TRIAL)
        sizes.append(sum(value.numel() for value in network.parameters()))
    assert sizes[0] < sizes[1]


def test_torchs_seed_decides_fresh_weights(manifest: Manifest) -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        network, _ = initial.unimodal("video", networks.ENCODERS["video"], TRIAL, manifest, pixels=networks.PIXELS)
        weights.append(torch.cat([value.flatten() for value in network.parameters()]))
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
