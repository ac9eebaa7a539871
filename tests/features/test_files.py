"""Features of a speaker as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.features import files
from cfnsr.features.files import ClipFeatures
from tests.support import frozen


def features(*layers: np.ndarray) -> ClipFeatures:
    return ClipFeatures(np.zeros((2, 3), np.float32), 1.0, layers)


@pytest.mark.parametrize(("frames", "steps"), [(12, 4), (13, 4), (4, 4), (3, 8), (1, 5)])
def test_a_sequence_has_its_steps(frames: int, steps: int) -> None:
    layer = np.arange(frames * 2, dtype=np.float32).reshape(frames, 2)
    (sequence,) = features(layer).with_sequence(0, steps, "features.x.sequence").layers
    assert sequence.shape == (steps, 2) and sequence.dtype == np.float32
    assert (np.diff(sequence[:, 0]) >= 0).all()
    if frames % steps == 0:
        assert np.allclose(sequence, layer.reshape(steps, -1, 2).mean(axis=1))


def test_one_layer_is_kept_or_none() -> None:
    layers = [np.full((4, 2), number, np.float32) for number in range(3)]
    assert (features(*layers).with_sequence(-1, 2, "x").layers[0] == 2).all()
    assert features(*layers).with_sequence(1, 0, "x").layers == ()


def test_a_layer_that_is_absent_is_named() -> None:
    with pytest.raises(CfnsrError, match=r"features.x.sequence.layer: 3, and the encoder gives 1 layers over time"):
        features(np.zeros((4, 2), np.float32)).with_sequence(3, 2, "features.x.sequence")


def test_arrays_are_read_as_written_or_not_at_all(tmp_path: Path) -> None:
    clips = [Clip(name, tmp_path / f"{name}.wav", "01", "happy") for name in ("a", "b")]
    for clip in clips:
        clip.path.write_bytes(clip.id.encode())
    layer = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    by_clip = {clip.id: features(layer).with_sequence(0, 3, "x") for clip in clips}
    files.write(tmp_path / "out", frozen.FACTS, clips, by_clip, {})
    speaker = files.read(tmp_path / "out")
    assert speaker.sequences is not None and speaker.sequences.shape == (2, 3, 2)
    for name in (files.ARRAY, files.SEQUENCES):
        content = (tmp_path / "out" / name).read_bytes()
        (tmp_path / "out" / name).write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
        with pytest.raises(CfnsrError, match=r"out: its arrays are damaged, or of another version"):
            files.read(tmp_path / "out")
        (tmp_path / "out" / name).write_bytes(content)
    index = pd.read_parquet(tmp_path / "out" / files.INDEX)
    twice = index.assign(clip="a")
    twice.attrs = index.attrs
    twice.to_parquet(tmp_path / "out" / files.INDEX)
    with pytest.raises(CfnsrError, match=r"clips\.parquet: lists a clip twice"):
        files.read(tmp_path / "out")
    index.to_parquet(tmp_path / "out" / files.INDEX)
    np.save(tmp_path / "out" / files.SEQUENCES, np.zeros((1, 3, 2), np.float32))
    with pytest.raises(CfnsrError, match=r"sequences\.npy: holds 1 clips, the index 2"):
        files.read(tmp_path / "out")
