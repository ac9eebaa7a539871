"""The description of a network, saved with its weights: how it is built, and how its input is prepared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import nn

from cfnsr.errors import CfnsrError
from cfnsr.models import encoders as encoder_files
from cfnsr.models import fusion
from cfnsr.models.encoders import Encoder, Unimodal
from cfnsr.models.types import MODALITIES

# A file may come from anyone, and its description must not ask for more memory than a network of this project needs.
_MOST_VALUES = 2**27  # of one clip's array
_LARGEST = 2**20  # option of a network
_MOST_LABELS = 1000


@dataclass(frozen=True)
class ModelSpec:
    """The description of one network.

    Attributes:
        name: ``video``, ``audio`` or a system's.
        labels: the emotions, in the order of their class index.
        encoders: by modality, ``{"name": ..., **options}``.
        options: the system's own.
        inputs: one clip's shape of each array, as it is stored in the shards.
        protocol, fold: name the speakers that it was trained on.
        seed: of its random numbers.
        pixels: ``mean`` and ``std`` of each channel, and the channels' ``order``.
        preprocessing: how its clips were prepared.
        data: fingerprint of the corpus as prepared.
        imported: the files that its weights were imported from; empty if it was trained here.
        speakers: of its fold, by ``test``, ``validation`` and ``train``; empty where they are not known.
        checksum: of its weights in a file; empty in files of earlier versions.
    """

    name: str
    labels: list[str]
    encoders: dict[str, dict[str, Any]]
    options: dict[str, Any]
    inputs: dict[str, list[int]]
    protocol: str
    fold: str
    seed: int
    pixels: dict[str, Any]
    preprocessing: dict[str, Any]
    data: str
    imported: list[dict[str, Any]]
    speakers: dict[str, list[str]] = field(default_factory=dict)
    checksum: str = field(default="", compare=False)
    # An unknown key may describe something that this version cannot do.
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    @classmethod
    def untrained(
        cls,
        name: str,
        labels: list[str],
        encoders: dict[str, dict[str, Any]],
        options: dict[str, Any],
        inputs: dict[str, list[int]],
    ) -> ModelSpec:
        """Describe a network that is built only to be measured or checked."""
        empty = {"protocol": "", "fold": "", "seed": 0, "data": ""}
        return cls(name, labels, encoders, options, inputs, **empty, pixels={}, preprocessing={}, imported=[])

    def build(self, encoders: dict[str, Encoder] | None = None) -> nn.Module:
        """Build the network.

        Args:
            encoders: trained ones by modality; if None, they are built with fresh weights.

        Raises:
            CfnsrError: no network can be built from this description.
        """
        modalities = [self.name] if self.name in MODALITIES else MODALITIES
        parts = encoders or {modality: self._encoder(modality) for modality in modalities}
        if self.name in MODALITIES:
            return Unimodal(parts[self.name], self.name)
        return fusion.build(self.name, parts["video"], parts["audio"], len(self.labels), **self.options)

    def _encoder(self, modality: str) -> Encoder:
        options = dict(self.encoders.get(modality, {}))
        name = options.pop("name", "")
        array = encoder_files.find(modality, name).reads
        if array not in self.inputs:
            raise CfnsrError(f"encoders.{modality}", f"reads {array!r}, which the data lacks", "Choose another encoder")
        return encoder_files.build(modality, name, len(self.labels), self.inputs[array], **options)

    def to_json(self) -> str:
        """Write the description as JSON; equal descriptions give equal text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: object) -> ModelSpec:
        """Read what ``to_json`` wrote.

        Args:
            text: the JSON.
            where: the file that it is from, for the error.

        Raises:
            CfnsrError: it is not JSON, or keys are missing or of the wrong type.
        """
        try:
            spec = TypeAdapter(cls).validate_json(text, strict=True)
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, fault['loc']))} {fault['msg']}".strip() for fault in error.errors()]
            problem = f"its description cannot be read ({'; '.join(faults[:3])})"
            raise CfnsrError(where, problem, "Train or import it again with this version of cfnsr") from error
        missing = sorted({"mean", "std", "order"} - set(spec.pixels))
        if missing:
            problem = f"its description lacks pixels.{missing[0]}"
            raise CfnsrError(where, problem, "Train or import it again with this version of cfnsr")
        excess = next(spec._excess(), None)
        if excess is not None:
            raise CfnsrError(where, f"its description asks for too much: {excess}", "Give another file")
        return spec

    def _excess(self) -> Iterator[str]:
        """Yield each size that is out of bounds."""
        for name, shape in self.inputs.items():
            if not shape or min(shape) < 1 or prod(shape) > _MOST_VALUES:
                yield f"inputs.{name} is {shape}"
        if not 1 <= len(self.labels) <= _MOST_LABELS:
            yield f"{len(self.labels)} labels"
        for path, number in _numbers({"encoders": self.encoders, "options": self.options}):
            if not abs(number) <= _LARGEST and not path.endswith("seed"):  # not a number is out of bounds, too
                yield f"{path} is {number}"


def _numbers(values: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield the dotted key and the value of each number in nested sections and lists."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _numbers(value, f"{path}.{key}" if path else key)
    elif isinstance(values, list):
        for number, value in enumerate(values):
            yield from _numbers(value, f"{path}.{number}")
    elif isinstance(values, int | float):
        yield path, values


def differences(expected: dict[str, Any], actual: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield dotted key, expected value and actual value of each expected setting that differs or is missing.

    Args:
        expected: settings in sections, for instance a spec's ``preprocessing``.
        actual: settings in the same sections; further ones are ignored.
        path: of the section, with a dot at its end; empty at the top.
    """
    for key, value in expected.items():
        other = actual.get(key, {} if isinstance(value, dict) else None)
        if isinstance(value, dict) and isinstance(other, dict):
            yield from differences(value, other, f"{path}{key}.")
        elif other != value:
            yield f"{path}{key}", value, other
