"""Find and load models by name: the best of this workspace, a path, a DVC artifact, or one that comes with cfnsr."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cfnsr.errors import CfnsrError
from cfnsr.evaluation.reference import Reference
from cfnsr.inference.artifacts import MODEL, Artifact
from cfnsr.inference.card import Card, shipped
from cfnsr.runtime import model_header

if TYPE_CHECKING:
    from cfnsr.inference.kinds import Kind
    from cfnsr.inference.model import Model

BEST = "best"
_REMEDY = "Give best, a path (model.safetensors or .onnx), REPOSITORY:ARTIFACT, or a name that `cfnsr models` lists"


def load(name: str | Path, device: str) -> Model:
    """Load a model; see ``cfnsr.load``."""
    from cfnsr.inference.model import Model  # imports torch

    path = find(name)
    if path.suffix == ".pt2":
        raise CfnsrError(
            path,
            "is of torch.export, which cfnsr only writes",
            "Export the model as .onnx, or give its model.safetensors",
        )
    try:
        kind, card, reference = _opened(path, device)
        kind.windowing(None, None)
        kind.frame_choice  # noqa: B018 - like the line before, it reads what the description says
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:  # anyone may have written it
        problem = f"its description cannot be used ({type(error).__name__}: {error})"
        raise CfnsrError(path, problem, "Train it again, or give another file") from error
    return Model(kind, card, reference)


def _opened(path: Path, device: str) -> tuple[Kind, Card, Reference | None]:
    if path.suffix == ".onnx":
        return _exported(path, device)
    card, reference = Card.of(path), Reference.beside(path)
    if model_header.read(path).get("kind") == "linear probe":
        from cfnsr.inference.linear import LinearClassifier

        return LinearClassifier(path, device), card, reference
    from cfnsr.inference.network import Network
    from cfnsr.inference.on_sequences import SequenceNetwork, reads_sequences
    from cfnsr.models import checkpoint

    kind = SequenceNetwork if reads_sequences(checkpoint.read_spec(path)) else Network
    return kind(path, device, reference), card, reference


def _exported(path: Path, device: str) -> tuple[Kind, Card, None]:
    from cfnsr.inference.exported import ExportedNetwork
    from cfnsr.inference.on_sequences import ExportedSequenceNetwork, reads_sequences
    from cfnsr.inference.onnx_network import OnnxNetwork

    if device == "cuda":
        raise CfnsrError(
            path, "is ONNX, which is computed on the CPU", "Use --device cpu, or give the model.safetensors"
        )
    network = OnnxNetwork(path)
    kind = ExportedSequenceNetwork if reads_sequences(network.spec) else ExportedNetwork
    return kind(path, network), network.card, None


def find(name: str | Path) -> Path:
    """Return the file of a model.

    Raises:
        CfnsrError: there is none.
    """
    if str(name) == BEST:
        return best(Path.cwd())
    path = Path(name)
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises if the path is too long
        path = path / MODEL
    if os.path.isfile(path):  # noqa: PTH113 - as above
        return path
    for file in shipped():
        if file.parent.name == str(name):
            return file
    artifact = Artifact.of(str(name))
    if artifact is not None:
        return artifact.fetch()
    raise CfnsrError(name, "there is no such model", _REMEDY)


def best(workspace: Path) -> Path:
    """Return the file of a workspace's best model; if there are several, that of the corpus in params.yaml.

    Raises:
        CfnsrError: there is none, or it is not clear which of several is meant.
    """
    candidates = sorted(workspace.glob(f"data/*/{BEST}/{MODEL}"))
    if not candidates:
        remedy = "Run `dvc repro`, which chooses it, or name another model: a path, or one that `cfnsr models` lists"
        raise CfnsrError("best", f"{workspace / 'data'} has no best model", remedy)
    if len(candidates) > 1:
        params = workspace / "params.yaml"
        text = params.read_text(encoding="utf-8") if params.is_file() else ""
        corpus = re.search(r"^corpus: *(\w+)", text, re.MULTILINE)
        candidates = [path for path in candidates if corpus is not None and path.parts[-3] == corpus[1]] or candidates
    if len(candidates) > 1:
        raise CfnsrError("best", f"is of several corpora: {', '.join(map(str, candidates))}", "Give one of these paths")
    return candidates[0]
