"""params.yaml as frozen sections: what each value may be, checked once, before any work.

A leaf: only the stages and the command line import it; the library takes plain keyword arguments.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from cfnsr import folds
from cfnsr.errors import CfnsrError

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
# Speakers, folds and systems name files and stages, so they keep to letters, digits and underscores.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


# DVC leaves keys of these names out when it compares a stage with those it has run before, whatever they mean, and so
# would take results of another value for those of this one (docs/decisions/0007-names-dvc-does-not-see.md).
UNSEEN_BY_DVC = frozenset({"size", "nfiles"})


class Section(BaseModel):
    """Frozen, without unknown keys, and without a string taken for a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        assert not UNSEEN_BY_DVC & set(cls.model_fields), f"{cls.__name__} has a key that DVC does not see"


class Studio(Section):
    seed: Annotated[int, Field(ge=0)]
    statements: Annotated[list[Literal[1, 2]], Field(min_length=1)]
    repetitions: Annotated[int, Field(ge=1, le=2)]
    intensities: Annotated[list[Literal["normal", "strong"]], Field(min_length=1)]
    width: Annotated[int, Field(ge=320, multiple_of=2)]
    height: Annotated[int, Field(ge=240, multiple_of=2)]
    frame_rate: Annotated[str, Field(pattern=r"^[1-9]\d*(/[1-9]\d*)?$")]
    crf: Annotated[int, Field(ge=0, le=51)]
    x264_preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower"]
    b_frames: Annotated[int, Field(ge=0, le=16)]
    rate_hz: Annotated[int, Field(ge=8000)]
    face_noise: NotNegative
    pose_noise: NotNegative
    voice_noise: NotNegative
    hiss_db: Annotated[float, Field(lt=0, allow_inf_nan=False)]

    @model_validator(mode="after")
    def nothing_twice(self) -> Studio:
        _no_repeats("statements", [str(one) for one in self.statements])
        _no_repeats("intensities", list(self.intensities))
        return self


class Corpora(Section):
    studio: Studio


class ParallelJobs(Section):
    jobs: Annotated[int, Field(ge=0)]


class Crop(Section):
    landmarks: Literal["openface"]
    min_confidence: Share
    min_tracked: Annotated[float, Field(gt=0, le=1)]
    margin: NotNegative
    smoothing_s: NotNegative


class ExtractVideo(Section):
    decoder: Literal["pyav", "decord"]
    frames: Count
    side_px: Annotated[int, Field(ge=16)]


class ExtractAudio(Section):
    rate_hz: Annotated[int, Field(ge=8000)]
    offset_s: NotNegative
    window_s: Positive
    n_fft: Annotated[int, Field(ge=64)]
    hop: Count
    mels: Count
    coefficients: Count
    top_db: Positive

    @model_validator(mode="after")
    def coefficients_come_from_mels(self) -> ExtractAudio:
        if self.coefficients > self.mels:
            raise ValueError(f"coefficients ({self.coefficients}) cannot exceed mels ({self.mels})")
        return self


class Extract(Section):
    video: ExtractVideo
    audio: ExtractAudio


class Check(Section):
    min_clips: Count


class Pixels(Section):
    mean: Annotated[list[NotNegative], Field(min_length=3, max_length=3)]
    deviation: Annotated[list[Positive], Field(min_length=3, max_length=3)]


class VideoEncoder(Section):
    layers: Annotated[list[Count], Field(min_length=4, max_length=4)]
    width: Count
    cardinality: Count
    stem_relu: bool


class AudioEncoder(Section):
    dropout: Share
    head_dropout: Share


class Encoders(Section):
    video: VideoEncoder
    audio: AudioEncoder


class Training(Section):
    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Positive
    weight_decay: NotNegative


class Pretrain(Section):
    video: Training
    audio: Training


class Augment(Section):
    flip: Share
    shift: Annotated[float, Field(ge=0, lt=0.5)]


class Train(Section):
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    threads: Count
    augment: Augment


class System(Section):
    options: dict[Name, bool | int | float | str | list[int | float | str]]
    training: Training | None = None

    @field_validator("options")
    @classmethod
    def dvc_sees_them(cls, options: dict[str, object]) -> dict[str, object]:
        unseen = sorted(UNSEEN_BY_DVC & set(options))
        if unseen:
            raise ValueError(f"DVC does not see changes of a key named {', '.join(unseen)}; name it otherwise")
        return options


class Report(Section):
    level: Annotated[float, Field(gt=0, lt=1)]


class Params(Section):
    """The whole of params.yaml; the comments there say what each value means."""

    corpus: Literal["studio"]
    actors: Annotated[list[Name], Field(min_length=1)]
    folds: Annotated[dict[Name, Annotated[list[Name], Field(min_length=1)]], Field(min_length=2)]
    protocol: Literal["held_out"]
    corpora: Corpora
    parallel: ParallelJobs
    on_bad_clip: Literal["fail", "skip"]
    crop: Crop
    extract: Extract
    check: Check
    pixels: Pixels
    encoders: Encoders
    pretrain: Pretrain
    train: Train
    systems: Annotated[dict[Name, System], Field(min_length=1)]
    report: Report

    @model_validator(mode="after")
    def speakers_are_told_apart(self) -> Params:
        _no_repeats("actors", self.actors)
        for number, actor in enumerate(self.actors):
            if self.corpus == "studio" and not re.fullmatch(r"[0-9]{2}", actor):
                raise ValueError(f"actors.{number}: studio's actors are two digits (given: {actor!r})")
        tested: dict[str, str] = {}
        for fold, actors in self.folds.items():
            _no_repeats(f"folds.{fold}", actors)
            for actor in actors:
                if actor not in self.actors:
                    raise ValueError(f"folds.{fold}: actor {actor!r} is not among the actors")
                if actor in tested:
                    raise ValueError(
                        f"folds.{fold}: actor {actor!r} already stands in {tested[actor]}, so one fold "
                        "would test on whom it validates"
                    )
                tested[actor] = fold
        try:
            folds.held_out(self.actors, self.folds)
        except CfnsrError as error:
            raise ValueError(str(error)) from error
        return self

    def system(self, name: str) -> System:
        """One system's section.

        Raises:
            CfnsrError: there is none.
        """
        if name not in self.systems:
            raise CfnsrError(
                "systems", f"no section {name!r}; there are {', '.join(self.systems)}", "Add it to params.yaml"
            )
        return self.systems[name]


def load(path: Path) -> Params:
    """Read and check a params file.

    Raises:
        CfnsrError: it cannot be read, or a value is unknown, missing, of the wrong type or out of range; the
            message names each faulty key by its path.
    """
    try:
        values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CfnsrError(path, f"cannot be read ({error.strerror})", "Run from the repository's root") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise CfnsrError(path, f"is not YAML: {' '.join(str(error).split())}", "Mend the file") from error
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(_fault(one) for one in error.errors())
        raise CfnsrError(path, faults, "Mend the keys named, or start over with `cfnsr preset studio`") from error


def _fault(error: object) -> str:
    """One of pydantic's findings as ``key.path: what is wrong (given: value)``."""
    assert isinstance(error, dict)
    key = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    given = "" if error["type"] in {"missing", "extra_forbidden", "value_error"} else f" (given: {error['input']!r})"
    return f"{key}: {message}{given}" if key else f"{message}{given}"


def _no_repeats(key: str, values: list[str]) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{key}: {', '.join(twice)} named twice")
