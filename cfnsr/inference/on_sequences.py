"""Predict windows with networks on the output of frozen encoders over time."""

from __future__ import annotations

from cfnsr.data.shards import ARRAYS
from cfnsr.errors import CfnsrError
from cfnsr.features import fold
from cfnsr.inference import window_encoder
from cfnsr.inference.exported import ExportedNetwork
from cfnsr.inference.faces import Detect, FrameChoice, SeenFace
from cfnsr.inference.kinds import Inputs
from cfnsr.inference.network import Network
from cfnsr.inference.prepared_by_spec import SEQUENCE, PreparedBySpec
from cfnsr.inference.window_encoder import WindowEncoder
from cfnsr.inference.windows import Window, Windowing
from cfnsr.models.spec import ModelSpec

_AGAIN = "Train it again with this version of cfnsr (`dvc repro -f`)"


class OnSequences(PreparedBySpec):
    """A network whose arrays are frozen encoders' output over time; see ``Kind``. It takes windows of any length."""

    def _read_preprocessing(self) -> None:
        """Load the encoders that the description names."""
        self._described = self.preprocessing.get(fold.ENCODERS, {})
        if not {*self.modalities} <= {*self._described}:
            problem = f"reads {', '.join(self.spec.inputs)}, and does not name the frozen encoder that computes it"
            raise CfnsrError(self._path, problem, _AGAIN)
        self._encoders = {
            modality: WindowEncoder(
                self._path,
                self._described[modality]["extractor"],
                self._described[modality]["options"],
                device=self._device,
                preprocessing=self.preprocessing,
                again=_AGAIN,
            )
            for modality in self.modalities
        }
        self.takes_csv = "video" in self._encoders and self._encoders["video"].takes_csv

    def windowing(self, window_s: float | None, every_s: float | None) -> Windowing:
        """Return how a file is cut into windows, by default of 3 seconds."""
        return window_encoder.windowing(window_s, every_s)

    @property
    def frame_choice(self) -> FrameChoice | None:
        """Return which frames of a window its encoder reads."""
        return self._encoders["video"].frame_choice if "video" in self._encoders else None

    def detector(self) -> tuple[str, Detect]:
        """Return the encoder's own detector if it has one; see ``Kind``."""
        return self._encoders["video"].detector()

    def face(self, window: Window, seen: SeenFace | None) -> Inputs:
        """Compute the sequence of a face; see ``Kind``."""
        return self._sequence("video", window, seen)

    def voice(self, window: Window) -> Inputs:
        """Compute the sequence of the sound; see ``Kind``."""
        return self._sequence("audio", window, None)

    def _sequence(self, modality: str, window: Window, seen: SeenFace | None) -> Inputs:
        described = self._described[modality]
        features = self._encoders[modality].of_window(window, seen)
        one_layer = features.with_sequence(described["layer"], described["steps"], f"{self._path}: features")
        return {f"{modality}{SEQUENCE}": one_layer.layers[0]}


class SequenceNetwork(OnSequences, Network):
    """A network on sequences that torch computes."""


class ExportedSequenceNetwork(OnSequences, ExportedNetwork):
    """A network on sequences in an ONNX file; torch computes the frozen encoders."""


def reads_sequences(spec: ModelSpec) -> bool:
    """Return whether a network reads frozen encoders' sequences, not arrays of the shards."""
    return not {*spec.inputs} <= {*ARRAYS}
