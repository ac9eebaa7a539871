"""The sections of params.yaml for data: corpora, landmarks, crops, arrays, and their checks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cfnsr.config.sections import Count, Name, NotNegative, Positive, Section, Share, no_repeats


class Studio(Section):
    """The synthetic corpus."""

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
    shards: Annotated[int, Field(ge=0)]


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
    wait_s: NotNegative
    timeout_s: Positive
    min_rate: NotNegative


class ParallelClips(Section):
    """How clips are processed in parallel."""

    jobs: Annotated[int, Field(ge=0)]
    backend: Literal["threading", "loky", "ray"]
    address: Annotated[str, Field(pattern=r"^(auto|local|(ray://)?[A-Za-z0-9_.:\[\]-]+:[0-9]+)$")]


class FaceAlign(Section):
    """Detection of landmarks."""

    detector: Literal["sfd", "dlib"]
    points: bool
    device: Literal["auto", "cpu", "cuda"]
    batch_size: Count
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
    margin: NotNegative
    smoothing_s: NotNegative
    side_smoothing_s: NotNegative


class ExtractVideo(Section):
    """Frames of a clip."""

    decoder: Literal["pyav", "decord"]
    frames: Count
    side_px: Annotated[int, Field(ge=16)]


class ExtractAudio(Section):
    """Audio features of a clip."""

    rate_hz: Annotated[int, Field(ge=8000)]
    track: Count
    min_sound: Share
    n_fft: Annotated[int, Field(ge=64)]
    hop: Count
    mels: Count
    coefficients: Count
    top_db: Positive
    silence_db: Annotated[float, Field(lt=0, allow_inf_nan=False)]

    @model_validator(mode="after")
    def check_coefficients(self) -> ExtractAudio:
        if self.coefficients > self.mels:
            raise ValueError(f"coefficients ({self.coefficients}) cannot exceed mels ({self.mels})")
        return self


class Extract(Section):
    """The arrays that the networks read."""

    offset_s: NotNegative
    window_s: Positive
    video: ExtractVideo
    audio: ExtractAudio


class Check(Section):
    """Checks of the arrays before training."""

    min_clips: Count
