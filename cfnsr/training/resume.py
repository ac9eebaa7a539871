"""Save the state of a training after each epoch, outside every output, so that a killed run can resume."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cfnsr.runtime import own_code
from cfnsr.runtime.outputs import atomic_file

_DIGEST_BYTES = hashlib.sha256().digest_size


class ResumeCheckpoint:
    """The file of one job's training state after its last epoch: a sha256, and torch's bytes.

    Torch reads a file with a flipped byte as other weights. The sha256 is of the fingerprint too, so that a file under
    another job's name is refused.

    The file's name is a fingerprint of all that could change the job's result, so that a run with other params, data,
    code or initial weights does not resume from it.

    Args:
        folder: folder that holds nothing else.
        fingerprint: from ``fingerprint``.

    Attributes:
        path: of the file.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.path = folder / f"{fingerprint}.pt"

    def load(self) -> dict[str, Any] | None:
        """Load the state, None if there is none; delete states with another fingerprint."""
        try:
            for other in self.path.parent.glob("*.pt"):
                if other != self.path:
                    other.unlink()
            if not self.path.exists():
                return None
            content = self.path.read_bytes()
            digest, data = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
            if self._digest(data) != digest:
                print(f"{self.path} is damaged; training starts from the first epoch", flush=True)
                return None
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
            print(
                f"{self.path} cannot be read ({type(error).__name__}); training starts from the first epoch", flush=True
            )
            return None
        print(f"resumes from {self.path}", flush=True)
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file atomically; where that fails, print why and let training continue."""
        data = io.BytesIO()
        torch.save(state, data)
        try:
            with atomic_file(self.path) as partial:
                partial.write_bytes(self._digest(data.getbuffer()) + data.getbuffer())
        except OSError as error:
            print(f"{self.path} cannot be written ({error.strerror}); a killed run would repeat this epoch", flush=True)

    def delete(self) -> None:
        """Delete the file, once the job is complete."""
        try:
            self.path.unlink(missing_ok=True)
            if self.path.parent.is_dir() and not any(self.path.parent.iterdir()):
                self.path.parent.rmdir()
        except OSError as error:
            print(f"{self.path} cannot be deleted ({error.strerror})", flush=True)

    def _digest(self, data: bytes | memoryview) -> bytes:
        digest = hashlib.sha256(self.path.stem.encode())
        digest.update(data)
        return digest.digest()


def fingerprint(weights: dict[str, Tensor], *values: object) -> str:
    """Compute a fingerprint of all that decides how a training continues.

    Args:
        weights: initial weights.
        values: params and descriptions of the data, of JSON's types.

    Returns:
        Thirty-two hexadecimal digits, of the arguments, torch's version and the project's imported code.
    """
    digest = hashlib.sha256(json.dumps([torch.__version__, *values], sort_keys=True).encode())
    for name, value in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    for name, file in sorted(own_code.imported()):
        digest.update(name.encode() + Path(file).read_bytes())
    return digest.hexdigest()[:32]
