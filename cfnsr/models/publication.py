"""The published figures of a network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Publication:
    """One row of the published table.

    Attributes:
        fusion: ``none`` (one modality), ``feature`` (joined before the classifier), ``intermediate`` (within the
            networks) or ``decision`` (two predictions joined).
        paper: arXiv number of the paper that describes the network, or None.
        accuracy: on RAVDESS, in %, or None; its protocol is not ours (docs/decisions/0002-held-out.md).
        parameters: in millions, or None.
        reconstructed: parts that no source describes exactly, so that ours may differ; empty if there are none.
    """

    fusion: str
    paper: str | None = None
    accuracy: float | None = None
    parameters: float | None = None
    reconstructed: str = ""
