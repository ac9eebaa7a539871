"""What is on record of a network: where it fuses, what was published of it, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Publication:
    """One row of the published table, and how sure ours is of it.

    Attributes:
        fusion: ``none`` (one modality), ``feature`` (joined before the classifier), ``intermediate`` (within the
            networks) or ``decision`` (two predictions joined).
        paper: arXiv number of the paper that describes it; none where there is none.
        accuracy: published on RAVDESS, in %; its protocol is not ours (docs/decisions/0002-held-out.md). None where
            nothing was published.
        parameters: published count, in millions; none where none was.
        reconstructed: what no source gives exactly, so that ours may differ; empty where nothing is.
    """

    fusion: str
    paper: str | None = None
    accuracy: float | None = None
    parameters: float | None = None
    reconstructed: str = ""
