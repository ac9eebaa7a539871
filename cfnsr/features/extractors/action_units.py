"""Facial action units that OpenFace found, from the CSV file beside each clip: 17 intensities and 18 presences.

Baltrusaitis, Mahmoud and Robinson, "Cross-dataset learning and person-specific normalisation for automatic Action Unit
detection", FG 2015; Baltrusaitis, Zadeh, Lim and Morency, "OpenFace 2.0: Facial Behavior Analysis Toolkit", FG 2018.
"""

from __future__ import annotations

from math import inf

import numpy as np

from cfnsr.corpora.clip import Clip
from cfnsr.errors import CfnsrError
from cfnsr.features.extractors import FrozenEncoder, statistics
from cfnsr.features.files import ClipFeatures, Facts
from cfnsr.preprocessing import media, openface_csv, video
from cfnsr.preprocessing.face_boxes import FaceBoxes

# Of the action units, as OpenFace's instructions for training name them; its landmarks have seen others.
_TRAINED_ON = ("bosphorus", "bp4d", "disfa", "fera_2011", "semaine", "unbc")


class Extractor(FrozenEncoder):
    """Mean, standard deviation and 90th percentile of 35 action units over the confident frames: one layer of 105. Over
    time the 35 values of each of these frames.

    The values stand in the order of ``openface_csv.ACTION_UNITS``: first all means, then all standard deviations, then
    all percentiles. Nothing is decoded: of a clip that is a whole file, only the CSV file is read.

    Args:
        min_confidence: frames below it are left out; OpenFace's confidence, 0 to 1.
    """

    def __init__(self, *, min_confidence: float) -> None:
        self.min_confidence = min_confidence
        self.facts = Facts(
            name="action_units",
            modality="video",
            revision="OpenFace CSV",
            trained_on=_TRAINED_ON,
        )

    def of_clip(self, clip: Clip, boxes: FaceBoxes | None) -> ClipFeatures:
        """Compute the features of one clip; see ``FrozenEncoder``."""
        path = clip.path.with_suffix(".csv")
        if not path.is_file():
            remedy = "Put the file that OpenFace wrote with -2Dfp -aus beside it, or use the extractor blendshapes"
            raise CfnsrError(clip.path, "has no CSV file of action units", remedy)
        is_whole = (clip.start_s, clip.end_s) == (0.0, inf)
        part = slice(None) if is_whole else video.of_clip(clip, media.timeline(clip.path))
        units = openface_csv.read_action_units(path, face=clip.face, part=part)
        if is_whole and boxes is not None and len(units.values) > len(boxes.boxes) + 1:
            problem = f"has {len(units.values)} frames, its clip {len(boxes.boxes)}"
            raise CfnsrError(path, problem, "Fetch the clip and its CSV file again")
        used = (units.confidence >= self.min_confidence) & np.isfinite(units.values).all(axis=1)
        if not used.any():
            problem = f"has no frame of confidence {self.min_confidence} or more with action units"
            raise CfnsrError(path, problem, "Lower min_confidence, or remove the clip")
        values = units.values[used]
        if not values.any():
            problem = "its action units are all zero: they were not computed"
            raise CfnsrError(path, problem, "Write it by OpenFace with -2Dfp -aus, or use the extractor blendshapes")
        rate_hz = units.frame_rate_hz
        if not np.isfinite(rate_hz):
            rate_hz = media.timeline(clip.path).frame_rate_hz
        return ClipFeatures(statistics(values), float(used.sum() / rate_hz), (values.astype(np.float32),))
