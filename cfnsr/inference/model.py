"""A trained model that predicts files, folders and recordings in memory."""

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
from cfnsr.inference.run import NAMES, Predictor, Run
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
        kind: computes the predictions.
        card: see above.
        reference: features of the training clips; None if not known.
    """

    def __init__(self, kind: Kind, card: Card, reference: Reference | None) -> None:
        self.card = card
        self.labels, self.modalities = list(kind.labels), list(kind.modalities)
        # One detector for all files: loading it takes longer than reading a short clip.
        self._predictor = Predictor(kind, card.temperature, reference, cache(kind.detector))

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
            window_s: length of the windows in seconds; None: the length that the network reads (``extract.window_s``),
                or 3 seconds if the model accepts any length.
            every_s: from the start of one window to the start of the next, in seconds; None: ``window_s``.
            face: which face to use if there are several: ``largest``, ``left``, ``right``, or ``all``.
            only: ``face`` or ``voice``, to ignore the other modality.

        Returns:
            One row per window and person; docs/predict.md describes the columns. ``attrs["landmarks"]`` has the source
            of the faces, by file.

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
        """Begin to predict one recording. Iterating over the result reads the recording and yields its rows.

        Args:
            item: the recording.
            window_s, every_s, face, only: see ``predict``.
            pictures: whether to make small pictures of at most 40 windows, evenly spaced in time.

        Raises:
            CfnsrError: the file cannot be read, or an option is out of bounds.
        """
        if face not in WHO:
            raise CfnsrError("--face", f"is {face!r}", f"Choose one of: {', '.join(WHO)}")
        if only is not None and only not in (readable := [NAMES[modality] for modality in self.modalities]):
            raise CfnsrError(
                "--only",
                f"is {only!r}, and the model reads {' and '.join(readable)}",
                "Choose one of these, or leave out --only",
            )
        windowing = self._predictor.kind.windowing(window_s, every_s)
        return Run(self._predictor, item, windowing, face, only=only, pictures=pictures)

    def table(self, rows: Sequence[Row], landmarks: dict[str, str]) -> pd.DataFrame:
        """Return rows as a table.

        Args:
            rows: of all files.
            landmarks: source of the faces, by file; empty if no face was looked for.
        """
        return table(rows, self.labels, model=self.card.name, landmarks=landmarks)
