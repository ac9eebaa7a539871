"""How far clips are from those that a model was trained on. Importing this module does not load torch.

A clip's features are standardised by mean and deviation of the training clips; its distance is the root mean square of
the result. Distances are given as percentiles of the training clips' own distances.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Float64
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from cfnsr.errors import CfnsrError
from cfnsr.runtime import stored
from cfnsr.runtime.outputs import atomic_file

FILE = "reference.safetensors"  # beside the model's file
FAR = 99.0  # percentile from which a clip is far from the training clips

MeanFeatures = Mapping[str, Float32[np.ndarray, "*shape"]]  # by module of a network

_OTHER = "It is of another model: put the right one there, or delete it"
_KEY = "cfnsr"  # one key: safetensors writes several in random order


@dataclass(frozen=True)
class Reference:
    """The training clips' features, in brief.

    Attributes:
        modules: the network's modules whose outputs, one after another, are the features; empty for a linear
            classifier, whose features are the encoder's layer.
        mean, std: of each feature over the training clips; a feature that never changes has the deviation 1.
        distances: of the training clips, in their order.
        means: by module, the mean output over the training clips, which replaces that of a missing modality; see
            ``cfnsr.evaluation.missing_modality``. Empty for what reads one modality.
    """

    modules: tuple[str, ...]
    mean: Float64[np.ndarray, " feature"]
    std: Float64[np.ndarray, " feature"]
    distances: Float32[np.ndarray, " clip"]
    means: MeanFeatures = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        vectors: Float[np.ndarray, "clip feature"],
        modules: Sequence[str] = (),
        means: MeanFeatures | None = None,
    ) -> Reference:
        """Describe the training clips.

        Args:
            vectors: their features.
            modules, means: see the attributes.
        """
        values = vectors.astype(np.float64)
        mean, std = values.mean(axis=0), values.std(axis=0)
        std[std == 0] = 1.0
        distances = np.sqrt((((values - mean) / std) ** 2).mean(axis=1)).astype(np.float32)
        return cls(tuple(modules), mean, std, distances, means or {})

    @classmethod
    def joined(cls, parts: Mapping[str, Reference], means: MeanFeatures) -> Reference:
        """Describe a network by those of its parts, of the same training clips.

        Args:
            parts: by the name that a part's module ``encoder`` has in the network.
            means: see the attributes.
        """
        squares = [part.distances.astype(np.float64) ** 2 * len(part.mean) for part in parts.values()]
        features = sum(len(part.mean) for part in parts.values())
        return cls(
            tuple(module.replace("encoder", name, 1) for name, part in parts.items() for module in part.modules),
            np.concatenate([part.mean for part in parts.values()]),
            np.concatenate([part.std for part in parts.values()]),
            np.sqrt(np.sum(squares, axis=0) / features).astype(np.float32),
            means,
        )

    def distance(self, vectors: Float[np.ndarray, "clip feature"]) -> Float64[np.ndarray, " clip"]:
        """Return how far clips are: the root mean square of their standardised features.

        Raises:
            CfnsrError: the clips have another number of features.
        """
        if vectors.shape[1] != len(self.mean):
            raise CfnsrError(FILE, f"describes {len(self.mean)} features, and the model has {vectors.shape[1]}", _OTHER)
        return np.sqrt((((vectors.astype(np.float64) - self.mean) / self.std) ** 2).mean(axis=1))

    def percentile(self, vectors: Float[np.ndarray, "clip feature"]) -> Float64[np.ndarray, " clip"]:
        """Return which percentage (0 to 100) of the training clips is nearer than each clip."""
        nearer = np.searchsorted(np.sort(self.distances), self.distance(vectors).astype(np.float32))
        return 100.0 * nearer / len(self.distances)

    def write(self, model: Path) -> None:
        """Write the description beside a model's file."""
        arrays = {"mean": self.mean, "std": self.std, "distances": self.distances}
        arrays |= {f"means.{name}": value for name, value in self.means.items()}
        arrays = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
        with atomic_file(model.with_name(FILE)) as partial:
            save_file(arrays, partial, metadata={_KEY: json.dumps({"modules": self.modules})})

    @classmethod
    def beside(cls, model: Path) -> Reference | None:
        """Read what lies beside a model's file; None if nothing does.

        Raises:
            CfnsrError: there is a file, and it is damaged or another one.
        """
        path = model.with_name(FILE)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="np") as file:
                modules = TypeAdapter(dict[str, tuple[str, ...]]).validate_json(file.metadata()[_KEY])["modules"]
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
            means = {name.removeprefix("means."): array for name, array in arrays.items() if name.startswith("means.")}
            if arrays["mean"].shape != arrays["std"].shape or arrays["mean"].ndim != 1 or arrays["distances"].ndim != 1:
                raise ValueError("its arrays do not fit each other")
            if not len(arrays["distances"]) or not all(np.isfinite(array).all() for array in arrays.values()):
                raise ValueError("its arrays are empty or not finite")
            if not (arrays["std"] > 0).all():
                raise ValueError("a deviation is not positive")
            return cls(modules, arrays["mean"], arrays["std"], arrays["distances"], means)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise CfnsrError(path, f"is not what was written beside a model ({error})", stored.AGAIN) from error
