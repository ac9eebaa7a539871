"""A trained model, asked about files, folders and recordings in memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cfnsr.errors import CfnsrError
from cfnsr.evaluation.reference import Reference
from cfnsr.inference import recordings
from cfnsr.inference.card import Card
from cfnsr.inference.faces import WHO
from cfnsr.inference.kinds import Kind
from cfnsr.inference.recordings import Recording, Sources
from cfnsr.inference.run import NAMES, Asked, Run
from cfnsr.inference.table import Row, table

if TYPE_CHECKING:
    import pandas as pd


class Model:
    """A trained model, with all that is needed to use it.

    Attributes:
        labels: the emotions, in the order of their class index.
        modalities: those that it reads, ``video``, ``audio`` or both.
        card: what it was trained on, and how well it does.

    Args:
        kind: computes what it says.
        card: see above.
        reference: of the training clips; None if it is not known.
    """

    def __init__(self, kind: Kind, card: Card, reference: Reference | None) -> None:
        self.card = card
        self.labels, self.modalities = list(kind.labels), list(kind.modalities)
        # One detector for all files: to load it takes longer than to read a short clip.
        self._asked = Asked(kind, card.temperature, reference, cache(kind.detector))

    def predict(
        self,
        source: Sources,
        *,
        window_s: float | None = None,
        every_s: float | None = None,
        face: str = WHO[0],
        only: str | None = None,
    ) -> pd.DataFrame:
        """Predict the emotions of recordings.

        Args:
            source: a file, a folder, a ``Recording`` in memory, or several of these.
            window_s: length of the windows in seconds; None: what the network reads of a clip; of a linear classifier,
                3 seconds.
            every_s: from the start of one window to the start of the next, in seconds; None: ``window_s``.
            face: whose, where there are several: ``largest``, ``left``, ``right``, or ``all``.
            only: ``face`` or ``voice``: the other one is not read, as if the recording lacked it.

        Returns:
            One row a window and person; docs/predict.md describes the columns. ``attrs["landmarks"]`` says where the
            faces of each file come from.

        Raises:
            CfnsrError: a file cannot be read, or an option is out of bounds.
        """
        rows: list[Row] = []
        landmarks: dict[str, str] = {}
        for item in recordings.listed(source):
            run = self.run(item, window_s=window_s, every_s=every_s, face=face, only=only)
            rows += run
            landmarks[run.name] = run.landmarks
        return self.table(rows, landmarks)

    def run(
        self,
        item: Path | Recording,
        *,
        window_s: float | None = None,
        every_s: float | None = None,
        face: str = WHO[0],
        only: str | None = None,
        pictures: bool = False,
    ) -> Run:
        """Begin to predict one recording; see ``predict``. Its rows come while it is read.

        Args:
            item: the recording.
            window_s, every_s, face, only: see ``predict``.
            pictures: whether rows have small pictures, of at most 40 windows, evenly over time.

        Raises:
            CfnsrError: the file cannot be read, or an option is out of bounds.
        """
        if face not in WHO:
            raise CfnsrError("--face", f"is {face!r}", f"Choose one of: {', '.join(WHO)}")
        if only is not None and only not in (known := [NAMES[modality] for modality in self.modalities]):
            raise CfnsrError("--only", f"is {only!r}, and the model reads {' and '.join(known)}", "Choose one of these")
        windowing = self._asked.kind.windowing(window_s, every_s)
        return Run(self._asked, item, windowing, face, only=only, pictures=pictures)

    def table(self, rows: Sequence[Row], landmarks: dict[str, str]) -> pd.DataFrame:
        """Return rows as a table.

        Args:
            rows: of all files.
            landmarks: by file, where its faces come from; empty if no face was looked for.
        """
        return table(rows, self.labels, model=self.card.name, landmarks=landmarks)
