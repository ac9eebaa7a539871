"""The sections of params.yaml for networks and training."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from cfnsr.config.cross import CrossRows
from cfnsr.config.sections import BatchSize, Count, Name, NotNegative, Positive, Section, Seed, Share


class Pixels(Section):
    """Normalisation of the frames."""

    mean: Annotated[list[NotNegative], Field(min_length=3, max_length=3)]
    std: Annotated[list[Positive], Field(min_length=3, max_length=3)]
    order: Literal["rgb", "bgr"]


class Training(Section):
    """Settings of one network's training."""

    epochs: Count
    batch_size: Annotated[int, Field(ge=2, le=65_536)]
    learning_rate: Positive
    weight_decay: NotNegative


class Pretrain(Section):
    """Training of each modality alone."""

    video: Training
    audio: Training


Half = Annotated[float, Field(ge=0, lt=0.5)]
Times = Annotated[int, Field(ge=0, le=1_000_000)]


class AugmentVideo(Section):
    """Augmentation of frames."""

    flip: Share
    shift: Half
    crop_scale: Annotated[float, Field(gt=0, le=1)]
    crop_ratio: Annotated[float, Field(ge=1, le=4)]
    brightness: Share
    contrast: Share
    saturation: Share
    jitter: Annotated[int, Field(ge=0, le=1000)]


class AugmentAudio(Section):
    """Augmentation of the log-mel."""

    gain_db: Annotated[float, Field(ge=0, le=60)]
    noise: Share
    noise_db: Annotated[float, Field(ge=-1000, le=0)]
    shift: Half
    time_masks: Annotated[int, Field(ge=0, le=1000)]
    time_mask: Share
    band_masks: Annotated[int, Field(ge=0, le=1000)]
    band_mask: Share


class Augment(Section):
    """Augmentation of training clips."""

    video: AugmentVideo
    audio: AugmentAudio
    modality_dropout: Share


class Train(Section):
    """Settings of every training."""

    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["fp32", "bf16", "fp16", "auto"]
    compile: bool
    deterministic: bool
    devices: Annotated[int, Field(ge=1, le=1024)]
    threads: Annotated[int, Field(ge=1, le=1024)]
    schedule: Literal["constant", "cosine"]
    warmup_epochs: Times
    clip_norm: NotNegative
    accumulate: BatchSize  # batches
    class_weights: Literal["none", "balanced"]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    patience: Times
    freeze_encoders: bool
    augment: Augment


Options = dict[Name, bool | int | float | str | list[int | float | str]]


class Encoder(Section):
    """The encoder of one modality."""

    name: Name
    options: Options


class Encoders(Section):
    """The encoders of both modalities."""

    video: Encoder
    audio: Encoder

    def of(self, modality: str) -> dict[str, Any]:
        """Return the name of a modality's encoder together with its options."""
        section = getattr(self, modality)
        return {"name": section.name, **section.options}


class System(Section):
    """An audiovisual system; without training if it trains nothing."""

    options: Options
    training: Training | None = None


class Ablations(Section):
    """Ablations of one system: by name, the options that differ from the system's."""

    system: Name
    variants: dict[Name, Options]


class Sequence(Section):
    """What is stored of a frozen encoder's output over time."""

    layer: Annotated[int, Field(ge=-1000, lt=1000)]
    steps: Annotated[int, Field(ge=0, le=10_000)]


class Features(Section):
    """A frozen encoder."""

    extractor: Name
    sequence: Sequence
    options: Options


class SequenceEncoder(Section):
    """The network on a frozen encoder's sequences."""

    channels: Annotated[int, Field(ge=1, le=65_536)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    training: Training


class Probe(Section):
    """The linear classifier on frozen features."""

    c: Annotated[list[Positive], Field(min_length=1)]
    refit: bool
    allow_seen: bool


class FrozenSystem(Section):
    """A row that trains a system on two frozen encoders."""

    name: Name
    system: Name
    video: Name
    audio: Name


class Fusion(Section):
    """A row that combines two others."""

    name: Name
    first: Name
    second: Name
    rule: Literal["averaging", "multiplication"]


class Evaluate(Section):
    """Imported networks."""

    checkpoints: Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]+$")]  # it becomes part of a shell command
    batch_size: BatchSize


class Run(Section):
    """The rows of the results table, by the stage that makes them."""

    protocols: Annotated[list[Literal["held_out", "test_selected"]], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    pretrain: list[Literal["video", "audio"]]
    combine: list[Name]
    train: list[Name]
    ablate: list[Name]
    evaluate: list[Name]
    probe: list[Name]
    sequence: list[Name]
    train_frozen: list[FrozenSystem]
    fuse: list[Fusion]
    cross: CrossRows

    def names(self, protocol: str) -> list[str]:
        """List the rows of a protocol in the table's order."""
        imported = self.evaluate if protocol == "held_out" else []
        frozen = [*self.probe, *self.sequences, *(row.name for row in self.train_frozen)]
        return [*self.pretrain, *self.combine, *self.train, *self.ablate, *imported, *frozen, *self.fused]

    @property
    def sequences(self) -> list[str]:
        """List the rows that read a frozen encoder's sequences."""
        return [f"{name}_sequence" for name in self.sequence]

    @property
    def fused(self) -> list[str]:
        """List the rows that combine two others."""
        return [fusion.name for fusion in self.fuse]

    @property
    def rows(self) -> list[tuple[str, str]]:
        """List the protocol and the name of every row, in the table's order."""
        return [(protocol, name) for protocol in self.protocols for name in self.names(protocol)]
