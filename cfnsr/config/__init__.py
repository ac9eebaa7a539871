"""params.yaml as frozen sections, checked once, before any work.

Only the stages and the command line import this package; all other code takes plain keyword arguments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from cfnsr.config import cross, rows, speakers
from cfnsr.config.cross import Cross
from cfnsr.config.data import Check, Corpora, Crop, Extract, Fetch, Landmarks, ParallelClips
from cfnsr.config.model import (
    Ablations,
    Encoders,
    Evaluate,
    Features,
    Fusion,
    Options,
    Pixels,
    Pretrain,
    Probe,
    Run,
    SequenceEncoder,
    System,
    Train,
)
from cfnsr.config.sections import Name, Section, Speaker, check_numbers, no_repeats, seen_by_dvc
from cfnsr.config.yaml_files import read_yaml
from cfnsr.errors import CfnsrError


class Report(Section):
    """The results table and the page."""

    ci_level: Annotated[float, Field(gt=0, lt=1)]
    faces: bool


Value = TypeVar("Value")
_MOST_VALUES = 2**36  # of a batch's array, of 4 bytes each


class Params(Section):
    """All sections of params.yaml. The comments there say what each value means."""

    corpus: Literal["studio", "crema_d", "emodb", "ravdess_speech", "ravdess", "folder"]
    modalities: Annotated[list[Literal["video", "audio"]], Field(min_length=1)]
    actors: Annotated[list[Speaker], Field(min_length=1)]
    folds: Annotated[dict[Name, Annotated[list[Speaker], Field(min_length=1)]], Field(min_length=2)]
    corpora: Corpora
    fetch: Fetch
    parallel: ParallelClips
    on_bad_clip: Literal["fail", "skip"]
    landmarks: Landmarks
    crop: Crop
    extract: Extract
    check: Check
    pixels: Pixels
    encoders: Encoders
    pretrain: Pretrain
    train: Train
    run: Run
    systems: Annotated[dict[Name, System], Field(min_length=1)]
    ablations: Ablations
    evaluate: Evaluate
    features: dict[Name, Features]
    probe: Probe
    sequence: SequenceEncoder
    cross: Cross
    report: Report

    @field_validator("folds", mode="before")
    @classmethod
    def check_folds_are_listed(cls, folds: object) -> object:
        if isinstance(folds, str):
            raise ValueError(f"lists the speakers of each fold, not a name; `cfnsr folds {folds}` writes that list")
        return folds

    @model_validator(mode="before")
    @classmethod
    def check_keys(cls, values: Any) -> Any:
        seen_by_dvc(values)
        check_numbers(values)
        return values

    @model_validator(mode="after")
    def check_speakers(self) -> Params:
        speakers.check(self.corpus, self.actors, self.folds)
        return self

    @model_validator(mode="after")
    def check_folder(self) -> Params:
        if self.corpus == "folder":
            for key in ("videos", "intake", "labels"):
                if not getattr(self.corpora.folder, key):
                    raise ValueError(f"corpora.folder.{key}: is empty; `cfnsr folder VIDEOS LABELS` fills it in")
            no_repeats("corpora.folder.labels", self.corpora.folder.labels)
            if len(self.corpora.folder.labels) == 1:
                raise ValueError("corpora.folder.labels: one emotion alone cannot be recognised")
        return self

    @model_validator(mode="after")
    def check_rows(self) -> Params:
        rows.check(self.run, self.modalities, self.systems, self.ablations, self.features)
        cross.check(self.run.cross, self.corpus, Corpora.model_fields, self.run.probe)
        return self

    @model_validator(mode="after")
    def check_trainings(self) -> Params:
        trainings = {f"pretrain.{name}": getattr(self.pretrain, name) for name in self.run.pretrain}
        if self.run.sequence:
            trainings["sequence.training"] = self.sequence.training
        systems = [*self.run.train, *(row.system for row in self.run.train_frozen)]
        for name in [*systems, *([self.ablations.system] if self.run.ablate else [])]:
            trainings[f"systems.{name}.training"] = self.systems[name].training
        warmup, devices = self.train.warmup_epochs, self.train.devices
        for path, training in trainings.items():
            if training is None:
                raise ValueError(f"run.ablate: {self.ablations.system} trains nothing")
            if warmup >= training.epochs:
                raise ValueError(
                    f"train.warmup_epochs: {warmup}, but {path} has {training.epochs} epochs: "
                    "the learning rate would never be reached"
                )
            if training.batch_size * self.extract.values > _MOST_VALUES:
                raise ValueError(
                    f"{path}.batch_size: {training.batch_size} clips of {self.extract.values:,} values are more than "
                    "any GPU holds"
                )
            if devices > 1 and training.batch_size < 2 * devices:
                raise ValueError(
                    f"train.devices: {devices} processes share a batch, and each needs two clips or more; "
                    f"{path}.batch_size is {training.batch_size}"
                )
        return self

    def units(self, corpus: str) -> str:
        """Say what ``actors`` names: ``speakers``, or ``shards of speakers``."""
        is_sharded = corpus == "folder" and self.corpora.folder.shards > 0
        return "shards of speakers" if is_sharded else "speakers"

    def of_result(self) -> dict[str, Any]:
        """Return all values that a result depends on: without fetch, parallel, and the unused corpora."""
        of_corpus = getattr(self.corpora, self.corpus).model_dump()
        return self.model_dump(exclude={"fetch", "parallel", "corpora"}) | {"corpora": {self.corpus: of_corpus}}

    def system(self, name: str) -> System:
        """Return a system's section.

        Raises:
            CfnsrError: params.yaml has no such section.
        """
        return _lookup("systems", self.systems, name)

    def frozen(self, name: str) -> Features:
        """Return the section of a frozen encoder.

        Raises:
            CfnsrError: params.yaml has no such section.
        """
        return _lookup("features", self.features, name)

    def fusion(self, name: str) -> Fusion:
        """Return the entry of a row that combines two others.

        Raises:
            CfnsrError: params.yaml has no such entry.
        """
        return _lookup("run.fuse", {fusion.name: fusion for fusion in self.run.fuse}, name)

    def variant(self, name: str) -> Options:
        """Return the options of an ablation that differ from its system's.

        Raises:
            CfnsrError: params.yaml has no such ablation.
        """
        return _lookup("ablations.variants", self.ablations.variants, name)


def _lookup(path: str, sections: dict[str, Value], name: str) -> Value:
    if name not in sections:
        problem = f"no section {name!r}; there are {', '.join(sections) or 'none'}"
        raise CfnsrError(path, problem, "Add it to params.yaml")
    return sections[name]


def load(path: Path) -> Params:
    """Read and check a params file.

    Raises:
        CfnsrError: it cannot be read, or see ``check``.
    """
    return check(read_yaml(path), path)


def check(values: dict[Any, Any], path: Path) -> Params:
    """Check the values of a params file.

    Args:
        values: in nested sections.
        path: of the file, for the error.

    Raises:
        CfnsrError: a value is unknown, missing, of the wrong type or out of range; the message names each faulty key
            by its path.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(_fault(details) for details in error.errors())
        raise CfnsrError(path, faults, "Correct these keys, or start over with `git checkout params.yaml`") from error


def _fault(details: Any) -> str:
    """Format one of pydantic's errors as ``key.path: problem (given: value)``."""
    key = ".".join(str(part) for part in details["loc"])
    message = details["msg"].removeprefix("Value error, ")
    if details["type"] not in {"missing", "extra_forbidden", "value_error"}:
        message += f" (given: {details['input']!r})"
    return f"{key}: {message}" if key else message
