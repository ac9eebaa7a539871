from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from cfnsr.errors import CfnsrError
from cfnsr.runtime import model_header


def test_header_is_read_without_the_weights(tmp_path: Path) -> None:
    save_file({"mean": np.zeros(3)}, tmp_path / "model.safetensors", {"cfnsr": '{"kind": "linear probe"}'})
    assert model_header.read(tmp_path / "model.safetensors") == {"kind": "linear probe"}


def test_other_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(CfnsrError, match="cannot be read as safetensors"):
        model_header.read(path)
    path.write_bytes(b"text")
    with pytest.raises(CfnsrError, match="cannot be read as safetensors"):
        model_header.read(path)
    for metadata in (None, {"cfnsr": "[1]"}, {"cfnsr": "no JSON"}, {"cfnsr": "[" * 100_000}):
        save_file({"mean": np.zeros(3)}, path, metadata)
        with pytest.raises(CfnsrError, match="is safetensors, but not a model of cfnsr"):
            model_header.read(path)
