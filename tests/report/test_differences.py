from __future__ import annotations

import pandas as pd

from cfnsr.report import differences
from cfnsr.report.differences import Difference


def predictions(*speakers: str) -> pd.DataFrame:
    """Return predictions of two clips a speaker, each right (r) or wrong (w)."""
    rows = [
        {
            "actor": f"0{number}",
            "clip": f"{number}-{label}",
            "label": label,
            "predicted": label if letter == "r" else "sad",
        }
        for number, letters in enumerate(speakers)
        for label, letter in zip(("calm", "angry"), letters, strict=True)
    ]
    return pd.DataFrame(rows)


def test_every_pair_is_compared_and_corrected() -> None:
    """Four speakers have 16 permutations: only the two that keep or turn all signs are as extreme."""
    tables = {
        "a": predictions("rr", "rr", "rr", "rr"),
        "b": predictions("ww", "ww", "ww", "ww"),
        "c": predictions("rw", "rw", "ww", "ww"),
    }
    assert differences.compare(tables) == [
        Difference("a", "b", 1.0, 2 / 16, 6 / 16),
        Difference("a", "c", 0.75, 2 / 16, 6 / 16),
        Difference("b", "c", -0.25, 8 / 16, 8 / 16),
    ]
