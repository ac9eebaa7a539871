"""What ``cfnsr predict`` prints of each window, and the files that it writes."""

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

_MOST_PICTURES = 400  # of all files: those of later ones are left out, so that memory and page stay small


@dataclass
class Predictions:
    """What a model says of files.

    Attributes:
        model: that says it.
        recordings: those that were read.
        landmarks: by file, where its faces come from.
        failed: by file, what is wrong with it.
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
        """Predict all files of paths, and print what is said of each.

        Args:
            paths: files and folders.
            options: of ``Model.run``.
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
                    pictured = sum(row.picture is not None for known in self.recordings for row in known.rows)
                    self._add(file, {**options, "pictures": pictures and pictured < _MOST_PICTURES}, bar)

    def _add(self, file: Path, options: dict[str, Any], bar: Progress) -> None:
        """Predict one file; what was said before an error is kept."""
        from cfnsr.inference.page import Pictured
        from cfnsr.inference.table import summary

        # The bar takes over the terminal's standard output, so that lines stand above it; but not a file's or a pipe's.
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
                echo(_line(row, labels), file=out)
                bar.update(task, completed=len({each.start_s for each in rows}))
            self.recordings[-1] = Pictured(run.name, run.duration_s, run.levels, rows)  # the levels are known now
            echo(f"  {summary(rows, labels)}", file=out)
        except CfnsrError as error:
            self._report(file, error)
        finally:
            bar.remove_task(task)

    def _report(self, path: Path, error: CfnsrError) -> None:
        echo(f"Error: {error}", err=True)
        self.failed[str(path)] = error.problem

    def write(self, outputs: dict[str, Path | None]) -> None:
        """Write the files that are asked for.

        Args:
            outputs: by format, ``csv``, ``parquet``, ``json`` or ``page``.
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
        """Write the recording, the only one, with what is said drawn into it; not if it could not be read."""
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


def _line(row: Row, labels: list[str]) -> str:
    """Return what is said of one window."""
    values = row.values(labels)
    person = f"person {row.person}  " if row.person else ""
    said = [f"  {row.start_s:7.1f}–{row.end_s:.1f} s  {person}"]
    if values["emotion"] is None:
        said.append("no opinion")
    else:
        said.append(f"{values['emotion']} {values['confidence']:.0%}")
    for name in ("face", "voice"):
        shares = {label: values[f"{name}_{label}"] for label in labels}
        best = max(labels, key=lambda label: shares[label])
        if shares[best] == shares[best] and shares[best] != values["confidence"]:  # not NaN, and not the same again
            said.append(f"{name} {best} {shares[best]:.0%}")
    said += [f"no {name} ({problem})" for name, problem in row.missing.items()]
    if row.is_far:
        said.append(f"far from the training clips ({row.distance:.0f}th percentile)")
    return said[0] + ", ".join(said[1:])
