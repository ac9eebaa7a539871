"""The audiovisual systems, one file each; the file's name is a key of ``systems`` in params.yaml.

Each file defines ``Fusion(nn.Module)``:

- ``__init__(video, audio, classes, *, <its options>)``: two encoders, whose weights training changes further.
- ``forward(batch) -> Prediction``: on normalised frames.
- ``publication``: its published figures.
- ``trains``: whether it is trained after its encoders.
- ``modality_modules``: by modality that it reads, the modules whose outputs are all that the rest of it reads.
- if it joins two predictions, ``combine(video_log_probs, audio_log_probs) -> fused_log_probs``.
- if its loss is not the negative log-likelihood of ``fused``, ``scores(prediction)`` of each class: training raises the
  true class's score.
- if it has spatial attention, ``attention(batch)`` on the cells of the video at each moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from cfnsr.errors import CfnsrError
from cfnsr.models.encoders import Encoder, construct
from cfnsr.runtime import registry


def names() -> list[str]:
    """List the systems."""
    return registry.names(__name__)


def build(name: str, video: Encoder, audio: Encoder, classes: int, **options: Any) -> nn.Module:
    """Build a system on two encoders.

    Args:
        name: one of ``names()``.
        video, audio: the encoders, with fresh weights or pretrained ones; not copied.
        classes: number of emotions.
        options: the system's own.

    Raises:
        CfnsrError: there is no such system, or it cannot be built with these options.
    """
    network = construct(f"systems.{name}.options", _find(name), video, audio, classes, **options)
    for modules in network.modality_modules.values():
        for module in modules:
            network.get_submodule(module)  # raises if there is none of that name
    return network


def trains(name: str) -> bool:
    """Return whether a system is trained after its encoders."""
    return _find(name).trains


def reads(name: str) -> list[str]:
    """List the modalities that a system reads."""
    return list(_find(name).modality_modules)


def check(name: str, options: Mapping[str, Any], training: bool) -> None:
    """Check a section of params.yaml against the signature of the system that it names.

    Args:
        name: the system.
        options: the section's options.
        training: whether the section has a ``training``.

    Raises:
        CfnsrError: there is no such system; an option is unknown, missing or of the wrong type; or ``training`` is
            missing from a system that trains, or given to one that does not.
    """
    system = _find(name)
    registry.check_options(system, options, f"systems.{name}.options")
    if training != system.trains:
        raise CfnsrError(
            f"systems.{name}.training",
            "missing" if system.trains else "this system trains nothing",
            "Add epochs, batch_size, learning_rate and weight_decay" if system.trains else "Remove it",
        )


def _find(name: str) -> Any:
    system = registry.load(__name__, name, where=f"systems.{name}", kind="system").Fusion
    for attribute in ("publication", "trains", "modality_modules"):
        if not hasattr(system, attribute):
            where = f"cfnsr/models/fusion/{name}.py"
            raise CfnsrError(where, f"Fusion has no {attribute}", "Add it as cfnsr/models/fusion/__init__.py describes")
    return system
