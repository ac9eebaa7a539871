"""The sections of params.yaml on networks and training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from cfnsr.config.sections import UNSEEN_BY_DVC, Count, Name, NotNegative, Positive, Section, Share


class Pixels(Section):
    mean: Annotated[list[NotNegative], Field(min_length=3, max_length=3)]
    deviation: Annotated[list[Positive], Field(min_length=3, max_length=3)]
    order: Literal["rgb", "bgr"]


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


Options = dict[Name, bool | int | float | str | list[int | float | str]]


class System(Section):
    options: Options
    training: Training | None = None

    @field_validator("options")
    @classmethod
    def dvc_sees_them(cls, options: dict[str, object]) -> dict[str, object]:
        unseen = sorted(UNSEEN_BY_DVC & set(options))
        if unseen:
            raise ValueError(f"DVC does not see changes of a key named {', '.join(unseen)}; name it otherwise")
        return options


class Ablations(Section):
    """Variants of one system: options that differ from its own, by the variant's name."""

    system: Name
    variants: dict[Name, Options]


class Evaluate(Section):
    checkpoints: Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]+$")]  # DVC puts it into a shell's line
    batch_size: Count


class Run(Section):
    """Which cells each stage has: rows of the table."""

    pretrain: list[Literal["video", "audio"]]
    train: list[Name]
    ablate: list[Name]
    evaluate: list[Name]

    @property
    def names(self) -> list[str]:
        """Every row's, in the table's order: one modality, imported, systems, variants."""
        return [*self.pretrain, *self.evaluate, *self.train, *self.ablate]
