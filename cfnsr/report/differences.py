"""Compare every two rows of the table, by the speakers that both predict."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from cfnsr.report import metrics, significance


@dataclass(frozen=True)
class Difference:
    """The comparison of two rows.

    Attributes:
        system, other: names of the rows.
        difference: mean over speakers of the system's accuracy minus the other's.
        p: p-value of a permutation test over speakers.
        p_holm: the same, corrected for all pairs of the table.
    """

    system: str
    other: str
    difference: float
    p: float
    p_holm: float


def compare(predictions: dict[str, pd.DataFrame]) -> list[Difference]:
    """Test every pair of rows by permutation over speakers, with Holm's correction.

    Args:
        predictions: of the same speakers, by row.
    """
    shares = {name: metrics.by_speaker(table).shares for name, table in predictions.items()}
    pairs = list(combinations(shares, 2))
    p_values = [significance.permutation_p_value(shares[system], shares[other]) for system, other in pairs]
    return [
        Difference(system, other, float((shares[system] - shares[other]).mean()), p, p_holm)
        for (system, other), p, p_holm in zip(pairs, p_values, significance.holm(p_values), strict=True)
    ]
