"""Folders of weights as ``transformers`` and ``timm`` write them, given as such or by the name of a repository.

Only JSON and safetensors files are read, which cannot hold code. No access token is read, and nothing is fetched unless
the user asks for it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cfnsr.errors import CfnsrError
from cfnsr.runtime.checksum import sha256

FILES = ("*.json", "model*.safetensors")  # that are fetched
NEEDED = "config.json, preprocessor_config.json and model.safetensors"


@dataclass(frozen=True)
class ModelFolder:
    """A model's files.

    Attributes:
        path: the folder.
        weights: files in safetensors format: one, or the parts of large weights.
        revision: the commit of what came from a repository; of a folder, what is said of it.
    """

    path: Path
    weights: list[Path]
    revision: str

    def checksum(self) -> str:
        """Return the sha256 of the weights; of several files, that of their sha256, in order of name."""
        each = [sha256(path) for path in self.weights]
        return each[0] if len(each) == 1 else hashlib.sha256("".join(each).encode()).hexdigest()

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the folder; a missing one is empty.

        Raises:
            CfnsrError: it cannot be read, or holds no object.
        """
        try:
            content = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise CfnsrError(self.path / name, f"cannot be read ({error})", "Fetch the model again") from error
        if not isinstance(content, dict):
            raise CfnsrError(self.path / name, "holds no JSON object", "Fetch the model again")
        return content

    def check_complete(self, missing: list[str]) -> None:
        """Refuse weights without arrays that the network needs: libraries fill these with random numbers.

        Args:
            missing: names of the arrays that the library did not find.

        Raises:
            CfnsrError: there is one.
        """
        if missing:
            problem = f"lacks {len(missing)} arrays of weights, as {min(missing)}"
            raise CfnsrError(self.path, problem, "Fetch the model again; config.json and weights must be of one model")

    def unread(self, error: Exception) -> CfnsrError:
        """Return the error for a model that a library cannot load."""
        problem = f"cannot be loaded ({type(error).__name__}: {(str(error).splitlines() or [''])[0]})"
        return CfnsrError(self.path, problem, "Fetch the model again, or choose the library that wrote it")


def find(model: str, revision: str, *, fetch_weights: bool, where: str, extra: str) -> ModelFolder:
    """Find the files of a model.

    Args:
        model: a folder, or the name of a repository on Hugging Face.
        revision: commit of the repository; of a folder only noted.
        fetch_weights: whether a repository may be fetched; else it must be in Hugging Face's cache.
        where: the extractor that asks for it, for errors.
        extra: of this package, with the package that reads the cache, for errors.

    Raises:
        CfnsrError: there is no such folder, it is not in the cache, or it has no weights in safetensors format.
    """
    folder = Path(model) if Path(model).is_dir() else _cached(model, revision, fetch_weights, where, extra)
    whole = folder / "model.safetensors"
    weights = [whole] if whole.is_file() else sorted(folder.glob("model-*.safetensors"))
    if not weights:
        remedy = f"Put {NEEDED} there; other formats of weights are not read, because they can run code"
        raise CfnsrError(folder, "has no weights in safetensors format", remedy)
    return ModelFolder(folder, weights, revision)


def missing_package(error: ImportError, where: str, extra: str) -> CfnsrError:
    """Return the error for a package that is not installed."""
    return CfnsrError(where, f"needs a package that is missing ({error})", f"Run `pip install 'cfnsr[{extra}]'`")


def _cached(model: str, revision: str, fetch_weights: bool, where: str, extra: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise missing_package(error, where, extra) from error
    if not re.fullmatch("[0-9a-f]{40}", revision):
        remedy = "Give a folder, or the commit of the repository: 40 digits, which always mean the same weights"
        raise CfnsrError(where, f"{model} is no folder, and revision is {revision!r}", remedy)
    try:
        return Path(
            snapshot_download(
                model, revision=revision, local_files_only=not fetch_weights, allow_patterns=list(FILES), token=False
            )
        )
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0]
        problem = f"{model} is no folder, and cannot be fetched ({reason})"
        remedy = f"Check model and revision, or give a folder with {NEEDED}"
        if not fetch_weights:
            problem = f"{model} is no folder, and is not in Hugging Face's cache"
            include = " ".join(f"--include '{pattern}'" for pattern in FILES)
            command = f"hf download {model} --revision {revision} {include}"
            remedy = f"Run `{command}`, give a folder with {NEEDED}, or set fetch_weights to true"
        raise CfnsrError(where, problem, remedy) from error
