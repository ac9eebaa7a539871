"""The audiovisual systems, one file each; the file's name is what ``systems`` in params.yaml may say.

Each file defines ``Fusion(nn.Module)``:

- ``__init__(video, audio, classes, *, <its options>)``: two encoders, whose weights it goes on training.
- ``forward(frames, mel, mfcc) -> Prediction``: pixels already normalised.
- ``about``: what was published of it.
- ``trains``: whether it has anything to learn beyond its encoders' own training.
- ``features``: for each modality that it reads, the modules whose outputs are all that the rest sees of it.
- where it joins two predictions, ``combine(video_log_probs, audio_log_probs) -> fused_log_probs``.
- where it trains on something else than the log-likelihood of ``fused``, ``scores(prediction)`` of each class:
  training raises the true one's.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from torch import nn

from cfnsr.errors import CfnsrError
from cfnsr.models.encoders import Encoder


def names() -> list[str]:
    """The systems that params.yaml may name."""
    return sorted(module.name for module in iter_modules(__path__))


def build(name: str, video: Encoder, audio: Encoder, classes: int, **options: object) -> nn.Module:
    """A system around two encoders.

    Args:
        name: one of ``names()``.
        video, audio: the encoders, with fresh weights or pretrained ones; not copied.
        classes: how many emotions.
        options: what the signature of the system's ``Fusion`` asks for.

    Raises:
        CfnsrError: there is no such system, or none can be built with these options.
    """
    system = _system(name)
    try:
        network = system(video, audio, classes, **options)
    except CfnsrError:
        raise
    except Exception as error:  # torch has many ways to say that a size is impossible
        raise CfnsrError(
            f"systems.{name}.options",
            f"no network can be built with {options} ({type(error).__name__}: {error})",
            "The system's file says what was published",
        ) from error
    empty = [weights for weights, value in network.named_parameters() if not value.numel()]
    if empty:
        raise CfnsrError(f"systems.{name}.options", f"{options} leave nothing of {empty[0]}", "Give larger sizes")
    for module in (module for modules in system.modality_modules.values() for module in modules):
        network.get_submodule(module)
    return network


def trains(name: str) -> bool:
    """Whether a system has anything to learn beyond its encoders' own training."""
    return _system(name).trains


def check(name: str, options: dict[str, Any], training: bool) -> None:
    """Hold a section of params.yaml against the signature of the system's ``Fusion``.

    Args:
        name: the system.
        options: what the section gives it.
        training: whether the section says how to train it.

    Raises:
        CfnsrError: there is no such system; an option is unknown, missing or of the wrong type; or a system that
            trains lacks its training, or the other way round. ``where`` is the key's path below ``systems``.
    """
    system = _system(name)
    wanted = [
        parameter.name
        for parameter in inspect.signature(system).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    for key in sorted({*options, *wanted}):
        where = f"{name}.options.{key}"
        if key not in wanted:
            raise CfnsrError(where, "unknown option", f"Remove it; known are: {', '.join(wanted) or 'none'}")
        if key not in options:
            raise CfnsrError(where, "missing", "Give it a value; the system's file says what was published")
        kind = get_type_hints(system.__init__)[key]
        try:
            TypeAdapter(kind).validate_python(options[key], strict=True)
        except ValidationError as error:
            raise CfnsrError(where, f"{error.errors()[0]['msg']} (given: {options[key]!r})", "Mend it") from error
    if training != system.trains:
        raise CfnsrError(
            f"{name}.training",
            "missing" if system.trains else "this system trains nothing",
            "Add epochs, batch_size, learning_rate and weight_decay" if system.trains else "Remove it",
        )


def _system(name: str) -> Any:
    if name not in names():
        raise CfnsrError(name, "there is no such system", f"Name one of: {', '.join(names())}")
    system = import_module(f"{__name__}.{name}").Fusion
    for attribute in ("publication", "trains", "modality_modules"):
        if not hasattr(system, attribute):
            raise CfnsrError(
                f"cfnsr/models/fusion/{name}.py", f"Fusion has no {attribute}", "cfnsr/fusion says what it is"
            )
    return system
