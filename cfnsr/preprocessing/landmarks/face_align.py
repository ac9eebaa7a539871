"""Detect landmarks with the face-alignment package, only in the frames that extraction uses.

Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D Face Alignment problem?", ICCV 2017.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from jaxtyping import Float64

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import detection
from cfnsr.preprocessing.detection import Face, Image
from cfnsr.preprocessing.landmarks import POINTS, Landmarks
from cfnsr.runtime.checksum import sha256

_SFD = "s3fd-619a316812.pth"  # weights of the detector; their names contain the checksum
_NETWORK = "2DFAN4-11f355bf06.pth.tar"
SERVER = "https://www.adrianbulat.com/downloads/python-fan"


def finder(
    published: Path,
    *,
    detector: str,
    points: bool,
    device: str,
    batch_size: int,
    compile: bool,
    fetch_weights: bool,
    **frames: Any,
) -> Callable[[Clip], Landmarks]:
    """Return a function that detects one person's landmarks in each frame that ``extract`` uses.

    Args:
        published: not used.
        detector: of faces, ``sfd``, or ``dlib``, which needs no weights and runs on the CPU.
        points: whether to detect the 68 points; if not, the corners of the detector's box are used.
        device: ``auto``, ``cpu`` or ``cuda``.
        batch_size: frames; ``dlib`` ignores it.
        compile: use torch.compile for the landmark network.
        fetch_weights: whether to download missing weights.
        frames: see ``detection.finder``.

    Raises:
        CfnsrError: the package, its detector or its weights are missing.
    """
    options: dict[str, Any] = {"device": device, "batch_size": batch_size, "compile": compile}
    return detection.finder(faces(detector=detector, points=points, fetch_weights=fetch_weights, **options), **frames)


def faces(
    *, detector: str, points: bool, device: str, batch_size: int, compile: bool, fetch_weights: bool
) -> Callable[[Iterator[Image]], Iterator[list[Face]]]:
    """Return a function that finds the faces of pictures; see ``finder``."""
    if device == "cuda" and not torch.cuda.is_available():
        raise CfnsrError("landmarks.face_align.device", "is cuda, but there is no GPU", "Set it to auto or cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    find_faces = face_detector(detector, device, batch_size, fetch_weights)
    locate = _network(device, compile, fetch_weights) if points else _corners

    def detect(images: Iterator[Image]) -> Iterator[list[Face]]:
        for image, boxes in find_faces(images):
            yield [Face(box[:4], locate(image, box), float(box[4])) for box in boxes]

    return detect


def face_detector(
    name: str, device: str, batch_size: int, fetch: bool
) -> Callable[[Iterator[Image]], Iterator[tuple[Image, list[Float64[np.ndarray, " 5"]]]]]:
    """Return a function that pairs each image with its faces: left, top, right, bottom, confidence."""
    find = _dlib() if name == "dlib" else _sfd(device, fetch)

    def detect(images: Iterator[Image]) -> Iterator[tuple[Image, list[Float64[np.ndarray, " 5"]]]]:
        while batch := list(islice(images, batch_size)):
            for image, boxes in zip(batch, find(batch), strict=True):
                yield image, [np.asarray(box, np.float64)[:5] for box in boxes]

    return detect


def _sfd(device: str, fetch: bool) -> Callable[[list[Image]], list[Any]]:
    weights = weights_path(_SFD, fetch)
    module = _import("face_alignment.detection.sfd", "face-align")
    detector = module.FaceDetector(device=device, path_to_detector=str(weights))

    def find(images: list[Image]) -> list[Any]:
        return detector.detect_from_batch(torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy()))

    return find


def _dlib() -> Callable[[list[Image]], list[list[tuple[float, ...]]]]:
    """Return dlib's detector, on pictures of twice their size: it finds no face of less than 80 pixels."""
    detector = _import("dlib", "dlib").get_frontal_face_detector()

    def find(images: list[Image]) -> list[list[tuple[float, ...]]]:
        # dlib gives no confidence between 0 and 1; a face that it detects counts as certain.
        return [
            [(face.left(), face.top(), face.right(), face.bottom(), 1.0) for face in detector(image, 1)]
            for image in map(np.ascontiguousarray, images)
        ]

    return find


def _network(device: str, compile: bool, fetch: bool) -> Callable[[Image, np.ndarray], Float64[np.ndarray, "68 2"]]:
    """Return a function that computes the 68 points of the face in a box of an image."""
    package = _import("face_alignment", "face-align")
    weights_path(_NETWORK, fetch)
    with warnings.catch_warnings():
        # With compile: true the package warns that the first run takes longer, as params.yaml says.
        warnings.filterwarnings("ignore", "Compiling face alignment model", UserWarning)
        # The package's detector is not used; "folder" is the one that loads no weights.
        network = package.FaceAlignment(
            package.LandmarksType.TWO_D, device=device, face_detector="folder", compile=compile
        )

    def locate(image: Image, box: np.ndarray) -> Float64[np.ndarray, "68 2"]:
        return network.get_landmarks_from_image(image, detected_faces=[box])[0].astype(np.float64)

    return locate


def _corners(image: Image, box: np.ndarray) -> Float64[np.ndarray, "68 2"]:
    """Return the box's corners, repeated, in place of 68 points: the face box that follows from them is the same."""
    left, top, right, bottom = box[:4]
    return np.resize(np.array([(left, top), (right, top), (right, bottom), (left, bottom)]), (POINTS, 2))


def weights_path(name: str, fetch: bool) -> Path:
    """Return the path of weights, after a check of their sha256; download them if they are missing.

    Args:
        name: of the file; it contains the start of the checksum.
        fetch: whether to download them.

    Raises:
        CfnsrError: they are missing, or have another checksum.
    """
    path, url = Path(torch.hub.get_dir()) / "checkpoints" / name, f"{SERVER}/{name}"
    prefix = name.split("-")[1].split(".")[0]
    if not path.is_file():
        if not fetch:
            remedy = f"Put {url} there, or set landmarks.face_align.fetch_weights to true in params.yaml"
            raise CfnsrError(path, "is missing", remedy)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), prefix)
        except (URLError, OSError, RuntimeError) as error:
            raise CfnsrError(url, f"cannot be fetched ({error})", f"Put the file at {path}") from error
    checksum = sha256(path)
    if not checksum.startswith(prefix):
        problem = f"its sha256 starts with {checksum[:10]}, where {prefix} was expected"
        raise CfnsrError(path, problem, f"Replace it with {url}")
    return path


def _import(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        problem = f"needs a package that is missing ({error})"
        raise CfnsrError("landmarks.source: face_align", problem, f"Run `pip install 'cfnsr[{extra}]'`") from error
