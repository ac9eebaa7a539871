"""Load a network that was trained elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from torch import nn

from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.errors import CfnsrError
from cfnsr.models import checkpoint
from cfnsr.models.spec import ModelSpec, differences
from cfnsr.runtime.checksum import sha256


def load(path: Path, name: str, trial: Trial, manifest: Manifest) -> tuple[nn.Module, ModelSpec]:
    """Load an imported network, and describe it as a network of this run.

    Args:
        path: checkpoint written by ``cfnsr import-checkpoint``.
        name: modality or system that the network must be.
        trial: its fold must be that of the network, which was not trained on the fold's test speakers.
        manifest: its labels must be those of the network; differences in preprocessing are recorded.

    Raises:
        CfnsrError: name, fold or labels are others, the network was trained on test speakers, or it cannot read the
            clips of this corpus.
    """
    spec = checkpoint.read_spec(path)
    for what, actual, expected in (
        ("system", spec.name, name),
        ("fold", spec.fold, trial.fold),
        ("labels", spec.labels, manifest.labels),
    ):
        if actual != expected:
            problem = f"its {what} is {actual}, not {expected}"
            raise CfnsrError(path, problem, "Import the right file: `cfnsr import-checkpoint --help`")
    speakers = manifest.speakers(trial)
    learned = {*spec.speakers.get("train", ()), *spec.speakers.get("validation", ())} & {*speakers.test}
    if learned:
        problem = f"it was trained on speakers {', '.join(sorted(learned))}, who test in {trial.fold}"
        raise CfnsrError(path, problem, "Import the right file: `cfnsr import-checkpoint --help`")
    files = spec.imported or [{"file": path.name, "sha256": sha256(path)}]
    compared = differences(spec.preprocessing, manifest.preprocessing)
    differing = [f"{key} was {theirs}, is {ours}" for key, theirs, ours in compared]
    own_spec = replace(
        spec,
        inputs=manifest.shapes,
        protocol="imported",
        seed=trial.seed,
        preprocessing=manifest.preprocessing,
        data=manifest.fingerprint,
        speakers=speakers.lists(),
        # The file's header may hold any text, and the report shows it.
        imported=[
            {
                **{key: re.sub(r"[^\w.-]", "_", str(file.get(key, ""))) for key in ("file", "sha256")},
                "differs": differing,
            }
            for file in files
        ],
    )
    weights = checkpoint.load(path).state_dict()  # first: it checks that the file holds what its description says
    network = own_spec.build()
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        problem = f"was made for clips of shapes {spec.inputs}, not {manifest.shapes}"
        raise CfnsrError(path, problem, "Change `extract` to what the network was trained on") from error
    return network.eval(), own_spec
