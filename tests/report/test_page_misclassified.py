from __future__ import annotations

import pandas as pd

from cfnsr.report.page.misclassified import Misclassified, Prediction, misclassified

LABELS = ["calm", "sad"]


def table(*clips: tuple[str, str, str, float], attention: bool = False) -> pd.DataFrame:
    """Actor, clip, label, probability of calm."""
    rows = [
        {"actor": actor, "clip": clip, "label": label, "p_calm": calm, "p_sad": 1 - calm}
        for actor, clip, label, calm in clips
    ]
    result = pd.DataFrame(rows)
    if attention:
        result["attention"] = [[[[float(number)]]] for number in range(len(rows))]
    return result


def test_most_confident_mistakes_come_first() -> None:
    predictions = {"a": table(("01", "x", "sad", 0.75), ("02", "x", "sad", 1.0), ("01", "y", "calm", 1.0))}
    assert misclassified("a", predictions, LABELS) == [
        Misclassified("02", "x", "sad", (Prediction("a", "calm", 1.0, 0.0),), None),
        Misclassified("01", "x", "sad", (Prediction("a", "calm", 0.75, 0.25),), None),
    ]


def test_seeds_are_averaged_before_the_decision() -> None:
    predictions = {
        "a": table(
            ("01", "x", "sad", 0.75), ("01", "y", "sad", 0.5), ("01", "x", "sad", 0.0), ("01", "y", "sad", 1.0),
            attention=True,
        )
    }  # fmt: skip
    (clip,) = misclassified("a", predictions, LABELS)
    assert (clip.clip, clip.predictions) == ("y", (Prediction("a", "calm", 0.75, 0.25),))
    assert clip.attention is not None and clip.attention.tolist() == [[[1.0]]]  # of the first seed


def test_modalities_of_the_same_protocol_are_shown() -> None:
    clip = ("01", "x", "sad", 1.0)
    names = ("cfnsr", "video", "audio", "cfnsr@test_selected", "audio@test_selected")
    predictions = {name: table(clip) for name in names}

    def rows(name: str) -> list[str]:
        (mistake,) = misclassified(name, predictions, LABELS)
        return [prediction.row for prediction in mistake.predictions]

    assert rows("cfnsr") == ["cfnsr", "video", "audio"] and rows("video") == ["video", "audio"]
    assert rows("cfnsr@test_selected") == ["cfnsr@test_selected", "audio@test_selected"]
