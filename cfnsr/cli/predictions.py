"""The lines that ``cfnsr predict`` prints for each window, and the files that it writes."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cfnsr.cli.stage import echo
from cfnsr.errors import CfnsrError, printable
from cfnsr.runtime import progress
from cfnsr.runtime.outputs import atomic_file, writing

if TYPE_CHECKING:
    import pandas as pd
    from rich.progress import Progress

    from cfnsr.inference.model import Model
    from cfnsr.inference.page import Pictured
    from cfnsr.inference.table import Row
    from cfnsr.preprocessing.media import Timeline

_MAX_PICTURES = 400  # after so many, further files get none, so that memory and page stay small


@dataclass
class Predictions:
    """A model's predictions for files.

    Attributes:
        model: the model.
        recordings: the files that could be read, with their rows.
        landmarks: source of the faces, by file; empty if no face was looked for.
        failed: the problem, by file that could not be read.
    """

    model: Model
    recordings: list[Pictured] = field(default_factory=list)
    landmarks: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """Return the rows of all files."""
        return self.model.table([row for recording in self.recordings for row in recording.rows], self.landmarks)

    def add(self, paths: tuple[Path, ...], options: dict[str, Any], *, pictures: bool) -> None:
        """Predict all files of paths, and print the rows of each.

        Args:
            paths: files and folders.
            options: arguments of ``Model.run``.
            pictures: whether rows have pictures.
        """
        from cfnsr.inference import recordings

        with progress.items() as bar:
            for path in paths:
                try:
                    files = recordings.files(path)
                except CfnsrError as error:
                    self._report(path, error)
                    continue
                for file in files:
                    count = sum(row.picture is not None for recording in self.recordings for row in recording.rows)
                    self._add(file, {**options, "pictures": pictures and count < _MAX_PICTURES}, bar)

    def _add(self, file: Path, options: dict[str, Any], bar: Progress) -> None:
        """Predict one file; rows before an error are kept."""
        from cfnsr.inference.page import Pictured
        from cfnsr.inference.table import summary

        # On a terminal the bar replaces sys.stdout, to print lines above itself; a file or pipe is written directly.
        out = None if sys.stdout.isatty() else sys.stdout
        labels = self.model.labels
        task = bar.add_task(printable(file.name), total=None)
        try:
            run = self.model.run(file, **options)
            bar.update(task, total=len(run.windows))
            self.landmarks[run.name] = run.landmarks
            faces = f"  (faces: {run.landmarks})" if run.landmarks else ""
            echo(f"{printable(run.name)}{faces}", file=out)
            rows: list[Row] = []
            self.recordings.append(Pictured(run.name, run.duration_s, run.levels, rows))
            for row in run:
                rows.append(row)
                echo(_line(row, labels, numbered=options["face"] == "all"), file=out)
                bar.update(task, completed=len({predicted.start_s for predicted in rows}))
            # The sound's levels are read with the first row.
            self.recordings[-1] = Pictured(run.name, run.duration_s, run.levels, rows)
            echo(f"  {summary(rows, labels)}", file=out)
        except CfnsrError as error:
            self._report(file, error)
        finally:
            bar.remove_task(task)

    def _report(self, path: Path, error: CfnsrError) -> None:
        from cfnsr.inference.recordings import name_of

        echo(f"Error: {error}", err=True)
        self.failed[name_of(path)] = error.problem

    def write(self, outputs: dict[str, Path | None]) -> None:
        """Write the output files.

        Args:
            outputs: path by format (``csv``, ``parquet``, ``json``, ``page``); None: do not write it.
        """
        formats = {
            "csv": lambda path: self.table.to_csv(path, index=False),
            "parquet": lambda path: self.table.to_parquet(path),
            "json": self._write_json,
            "page": self._write_page,
        }
        for name, path in outputs.items():
            if path is not None:
                with writing(path), atomic_file(path) as partial:
                    formats[name](partial)

    def annotate(self, timeline: Timeline, path: Path, out: Path) -> None:
        """Write a copy of the only recording with its predictions drawn into it, unless it could not be read."""
        from cfnsr.inference import annotate

        if self.failed:
            return
        with progress.items() as bar:
            task = bar.add_task(printable(out.name), total=len(timeline.pts))
            rows = [row for recording in self.recordings for row in recording.rows]
            annotate.write(path, timeline, out, rows, self.model.labels, lambda: bar.advance(task))

    def _write_json(self, path: Path) -> None:
        rows = json.loads(self.table.to_json(orient="records") or "[]")
        about = {"model": asdict(self.model.card), "landmarks": self.landmarks, "failed": self.failed}
        path.write_text(json.dumps({**about, "rows": rows}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def _write_page(self, path: Path) -> None:
        from cfnsr.inference import page

        path.write_text(page.render(self.recordings, self.model, self.failed), encoding="utf-8")


def _line(row: Row, labels: list[str], *, numbered: bool) -> str:
    """Return one row as a line of text, with the person's number if there may be several."""
    values = row.values(labels)
    person = f"person {row.person}  " if numbered and row.person is not None else ""
    window = f"  {row.start_s:7.1f}–{row.end_s:.1f} s  {person}"
    parts: list[str] = []
    if values["emotion"] is None:
        parts.append("no prediction")
    else:
        parts.append(f"{values['emotion']} {values['confidence']:.0%}")
    for name in ("face", "voice"):
        shares = {label: values[f"{name}_{label}"] for label in labels}
        best = max(labels, key=lambda label: shares[label])
        # Neither NaN nor the fused prediction again.
        if shares[best] == shares[best] and shares[best] != values["confidence"]:
            parts.append(f"{name} {best} {shares[best]:.0%}")
    parts += [f"no {name} ({problem})" for name, problem in row.missing.items()]
    if row.is_far:
        parts.append(f"far from the training clips ({row.distance:.0f}th percentile)")
    return window + ", ".join(parts)
