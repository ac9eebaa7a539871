"""The sections of params.yaml for data: corpora, landmarks, crops, arrays, and their checks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cfnsr.config.sections import (
    BatchSize,
    Count,
    Decibels,
    Name,
    NotNegative,
    Positive,
    Seconds,
    Section,
    Seed,
    Share,
    no_repeats,
)

_MOST_VALUES = 2**27  # of one clip's array; as published: 4.5 million
_LONGEST_STEP = 2**20  # samples


class Studio(Section):
    """The synthetic corpus."""

    seed: Seed
    statements: Annotated[list[Literal[1, 2]], Field(min_length=1)]
    repetitions: Annotated[int, Field(ge=1, le=2)]
    intensities: Annotated[list[Literal["normal", "strong"]], Field(min_length=1)]
    width: Annotated[int, Field(ge=320, le=7680, multiple_of=2)]
    height: Annotated[int, Field(ge=240, le=4320, multiple_of=2)]
    frame_rate: Annotated[str, Field(pattern=r"^[1-9]\d{0,6}(/[1-9]\d{0,6})?$")]
    crf: Annotated[int, Field(ge=0, le=51)]
    x264_preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower"]
    b_frames: Annotated[int, Field(ge=0, le=16)]
    rate_hz: Annotated[int, Field(ge=8000, le=384_000)]
    face_noise: NotNegative
    pose_noise: NotNegative
    voice_noise: NotNegative
    hiss_db: Decibels

    @model_validator(mode="after")
    def check_repeats(self) -> Studio:
        no_repeats("statements", [str(number) for number in self.statements])
        no_repeats("intensities", list(self.intensities))
        return self


class Ravdess(Section):
    """The RAVDESS corpus."""

    licence_accepted: bool


class RavdessSpeech(Section):
    """RAVDESS's speech, sound alone."""

    licence_accepted: bool
    tracking: bool


class CremaD(Section):
    """The CREMA-D corpus."""

    licence_accepted: bool


class EmoDB(Section):
    """The EmoDB corpus."""


class Folder(Section):
    """A folder of videos."""

    videos: str
    intake: str
    intake_md5: str
    labels: list[Name]
    shards: Annotated[int, Field(ge=0, le=10_000)]


class Corpora(Section):
    """One section a corpus."""

    studio: Studio
    ravdess: Ravdess
    ravdess_speech: RavdessSpeech
    crema_d: CremaD
    emodb: EmoDB
    folder: Folder


class Fetch(Section):
    """Where archives come from."""

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s]*[^\s/]$")]
    local: str
    hard_links: bool
    tries: Count
    wait_s: Seconds
    timeout_s: Annotated[float, Field(gt=0, le=86_400)]
    min_rate: NotNegative


class ParallelClips(Section):
    """How clips are processed in parallel."""

    jobs: Annotated[int, Field(ge=0, le=4096)]
    backend: Literal["threading", "loky", "ray"]
    address: Annotated[str, Field(pattern=r"^(auto|local|(ray://)?[A-Za-z0-9_.:\[\]-]+:[0-9]+)$")]


class FaceAlign(Section):
    """Detection of landmarks."""

    detector: Literal["sfd", "dlib"]
    points: bool
    device: Literal["auto", "cpu", "cuda"]
    batch_size: BatchSize
    compile: bool
    fetch_weights: bool


class OpenFace(Section):
    """Landmarks from CSV files."""


class FaceMesh(Section):
    """Detection of landmarks by MediaPipe's models."""

    min_score: Share


class Landmarks(Section):
    """Where landmarks come from: the source, and one section a source."""

    source: Literal["openface", "face_align", "face_mesh"]
    openface: OpenFace
    face_align: FaceAlign
    face_mesh: FaceMesh


class Crop(Section):
    """Face boxes from landmarks."""

    min_confidence: Share
    min_tracked: Annotated[float, Field(gt=0, le=1)]
    margin: Annotated[float, Field(ge=0, le=100)]
    smoothing_s: Seconds
    side_smoothing_s: Seconds


class ExtractVideo(Section):
    """Frames of a clip."""

    decoder: Literal["pyav", "decord"]
    deblock: bool
    frames: Annotated[int, Field(ge=1, le=10_000)]
    side_px: Annotated[int, Field(ge=16, le=4096)]

    @model_validator(mode="after")
    def check_deblock(self) -> ExtractVideo:
        if not self.deblock and self.decoder != "pyav":
            raise ValueError("deblock: false is for the decoder pyav")
        return self


class ExtractAudio(Section):
    """Audio features of a clip."""

    rate_hz: Annotated[int, Field(ge=8000, le=384_000)]
    track: Count
    min_sound: Share
    n_fft: Annotated[int, Field(ge=64, le=_LONGEST_STEP)]
    hop: Annotated[int, Field(ge=1, le=_LONGEST_STEP)]
    mels: Annotated[int, Field(ge=1, le=4096)]
    coefficients: Count
    top_db: Positive
    silence_db: Decibels

    @model_validator(mode="after")
    def check_coefficients(self) -> ExtractAudio:
        if self.coefficients > self.mels:
            raise ValueError(f"coefficients ({self.coefficients}) cannot exceed mels ({self.mels})")
        return self


class Extract(Section):
    """The arrays that the networks read."""

    offset_s: Seconds
    window_s: Annotated[float, Field(gt=0, le=3600)]
    video: ExtractVideo
    audio: ExtractAudio

    @model_validator(mode="after")
    def check_clip(self) -> Extract:
        if self.values > _MOST_VALUES:
            raise ValueError(f"a clip would have {self.values:,} values; {_MOST_VALUES:,} are the most")
        return self

    @property
    def values(self) -> int:
        """Return the number of values of one clip's largest array."""
        steps = int(self.window_s * self.audio.rate_hz) // self.audio.hop + 1
        frames = self.video.frames * self.video.side_px**2 * 3
        return max(frames, steps * self.audio.mels)


class Check(Section):
    """Checks of the arrays before training."""

    min_clips: Count
