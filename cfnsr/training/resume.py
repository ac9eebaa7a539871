"""Where a training stands after an epoch: kept outside every output, so that a killed run goes on from there."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cfnsr.runtime.outputs import atomic_file


class ResumeCheckpoint:
    """One cell's last epoch on disk, under a name that changes with whatever could change the cell's result.

    Args:
        folder: of this cell alone.
        fingerprint: of params, data, code and starting weights; see ``fingerprint``.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._path = folder / f"{fingerprint}.pt"

    def load(self) -> dict[str, Any] | None:
        """What was saved, or none; what other params, data or code have left of this cell is deleted."""
        for other in self._path.parent.glob("*.pt"):
            if other != self._path:
                other.unlink()
        if not self._path.is_file():
            return None
        try:
            state = torch.load(self._path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
            print(f"{self._path} cannot be read ({type(error).__name__}); training starts anew", flush=True)
            return None
        print(f"goes on from {self._path}, where a run was cut off", flush=True)
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Replace what there is, at once or not at all; where there is no room, training goes on without."""
        whole = io.BytesIO()
        torch.save(state, whole)
        try:
            with atomic_file(self._path) as partial:
                partial.write_bytes(whole.getbuffer())
        except OSError as error:
            print(f"{self._path} cannot be written ({error.strerror}); a kill would cost this epoch", flush=True)

    def drop(self) -> None:
        """The cell is complete: delete what was saved."""
        self._path.unlink(missing_ok=True)
        if self._path.parent.is_dir() and not any(self._path.parent.iterdir()):
            self._path.parent.rmdir()


def fingerprint(weights: dict[str, Tensor], *values: object) -> str:
    """A name for all that decides how a training goes on.

    Args:
        weights: to start from.
        values: params and what describes the data, of JSON's types.

    Returns:
        Thirty-two hexadecimal digits, of these, of torch's version and of the project's code that is loaded.
    """
    digest = hashlib.sha256(json.dumps([torch.__version__, *values], sort_keys=True).encode())
    for name, value in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    for name, file in sorted(_own_code()):
        digest.update(name.encode() + file.read_bytes())
    return digest.hexdigest()[:32]


def _own_code() -> Iterator[tuple[str, Path]]:
    """The project's modules that are loaded, by name."""
    for name, module in list(sys.modules.items()):
        # The script that runs is called __main__; its name proper stands in how it was found.
        known = getattr(getattr(module, "__spec__", None), "name", None) if name == "__main__" else name
        file = getattr(module, "__file__", None)
        if known and known.partition(".")[0] in {"cfnsr", "stages"} and file:
            yield known, Path(file)
