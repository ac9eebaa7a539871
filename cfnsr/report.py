"""Cells and predictions -> one small metrics file a system, plot data, and one table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cfnsr import metrics, pooling, table
from cfnsr.atomic import atomic_file, atomic_folder
from cfnsr.errors import CfnsrError
from cfnsr.folds import Trial
from cfnsr.gate import Gate
from cfnsr.row import Difference, Row, label


@dataclass(frozen=True)
class Wanted:
    """What a run names.

    Attributes:
        rows: by protocol and name, in the table's order, the trials of each.
    """

    rows: dict[tuple[str, str], list[Trial]]

    def files(self, ending: str) -> list[str]:
        """Below ``cells``, ``predictions`` or ``curves``, every trial's file."""
        return [
            str(trial.within(Path(protocol), name, ending))
            for (protocol, name), trials in self.rows.items()
            for trial in trials
        ]


@dataclass(frozen=True)
class Made:
    """Folders of what cells have written: ``<protocol>/<name>/<fold>/<seed>``."""

    cells: Path
    predictions: Path
    curves: Path


def write(made: Made, gate: Gate, out: Path, *, wanted: Wanted, level: float) -> list[Row]:
    """Read every cell that the run names, and write ``out``'s files.

    ``systems/<name>.json`` are DVC's metrics, ``results.csv`` holds every row's figures, ``recall.csv`` each class's
    recall, ``comparisons.csv`` whether two systems differ; ``confusion/`` and ``curves/`` hold the plots' data,
    ``report.md`` the tables.

    Args:
        made: what to read; what the run does not name is not read.
        gate: labels, folds and fingerprint.
        out: where to write.
        wanted: the rows, in their order.
        level: of the interval.

    Raises:
        CfnsrError: a cell is missing, or was trained on other data than the gate's.
    """
    lines: list[Row] = []
    predicted: dict[str, pd.DataFrame] = {}
    with (
        atomic_folder(out / "systems") as systems,
        atomic_folder(out / "confusion") as confusion,
        atomic_folder(out / "curves") as curves,
    ):
        for (protocol, name), trials in wanted.rows.items():
            accounts = [_account(trial.within(made.cells / protocol, name, ".json"), gate) for trial in trials]
            tables = _tables(made.predictions / protocol, name, trials)
            line = pooling.pooled(label(protocol, name), accounts, tables, gate, level)
            lines.append(line)
            chosen = predicted[line.name] = tables.loc[tables["choice"] == "selected"]
            (systems / f"{line.name}.json").write_text(json.dumps(_figures(line), indent=2) + "\n", encoding="utf-8")
            pairs = pd.DataFrame({"actual": chosen["label"], "predicted": chosen["predicted"]})
            pairs.to_csv(confusion / f"{line.name}.csv", index=False, lineterminator="\n")
            if any(account["epochs"] for account in accounts):
                drawn = _curves([trial.within(made.curves / protocol, name) for trial in trials])
                drawn.to_csv(curves / f"{line.name}.csv", index=False, lineterminator="\n")
    lines = pooling.beside_held_out(lines)
    differences = list(pooling.compare({line.name: predicted[line.name] for line in lines if not line.published}))
    _csv(out / "results.csv", [asdict(line) for line in lines])
    _csv(out / "comparisons.csv", [asdict(one) for one in differences], [one.name for one in fields(Difference)])
    _csv(
        out / "recall.csv",
        [
            {"name": name, "label": label, "recall": recall, "clips": _clips(chosen, label)}
            for name, chosen in predicted.items()
            for label, recall in metrics.recalls(chosen, gate.labels).items()
        ],
    )
    with atomic_file(out / "report.md") as partial:
        partial.write_text(table.markdown(lines, differences, gate.corpus, gate.skipped), encoding="utf-8")
    return lines


def read(out: Path) -> list[Row]:
    """The rows that ``write`` left in ``results.csv``.

    Raises:
        CfnsrError: it is missing, or of another version.
    """
    return _read(out / "results.csv", Row)


def read_differences(out: Path) -> list[Difference]:
    """What ``write`` left in ``comparisons.csv``.

    Raises:
        CfnsrError: it is missing, or of another version.
    """
    return _read(out / "comparisons.csv", Difference)


def _read(path: Path, kind: Any) -> list[Any]:
    try:
        # An empty cell is an empty text, or a number that is not there.
        texts = [one.name for one in fields(kind) if one.type == "str"]
        numbers = {one.name: [""] for one in fields(kind) if one.name not in texts}
        figures = pd.read_csv(
            _existing(path), dtype=dict.fromkeys(texts, "str"), na_values=numbers, keep_default_na=False
        )
        return [
            kind(**{name: None if pd.isna(value) else value for name, value in values.items()})
            for values in figures.to_dict("records")
        ]
    except (ValueError, TypeError) as error:
        raise CfnsrError(path, f"is not a table of results ({error})", "Run `dvc repro -f report`") from error


def _figures(line: Row) -> dict[str, float]:
    """Of DVC's metrics two columns a system: more would make `dvc exp show` unreadable; the rest is in results.csv."""
    figures = {"accuracy": line.accuracy, "uar": line.uar}
    return {f"optimistic_{name}" if line.published else name: round(value, 4) for name, value in figures.items()}


def _csv(path: Path, lines: list[dict[str, Any]], columns: list[str] | None = None) -> None:
    with atomic_file(path) as partial:
        pd.DataFrame(lines, columns=columns).to_csv(partial, index=False, lineterminator="\n")


def _account(path: Path, gate: Gate) -> dict[str, Any]:
    account = json.loads(_existing(path).read_text(encoding="utf-8"))
    if account["data"] != gate.fingerprint:
        raise CfnsrError(path, "was trained on other data than data/<corpus>/corpus.json describes", "Run `dvc repro`")
    return account


def _tables(folder: Path, name: str, trials: list[Trial]) -> pd.DataFrame:
    parts = [
        pd.read_parquet(_existing(trial.within(folder, name, ".parquet"))).assign(fold=trial.fold, seed=trial.seed)
        for trial in trials
    ]
    return pd.concat(parts, ignore_index=True)


def _clips(chosen: pd.DataFrame, label: str) -> int:
    """How many clips of an emotion were tested, however many seeds did."""
    return len(chosen.loc[chosen["label"] == label, ["actor", "clip"]].drop_duplicates())


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise CfnsrError(path, "is missing", "Run `dvc repro`, which makes what is missing")
    return path


def _curves(folders: list[Path]) -> pd.DataFrame:
    """Per epoch, averaged over the trials that got there: losses, validation accuracy, and test accuracy.

    Nothing chose by the latter. ``trials`` says how many there were: with patience some end before others.
    """
    parts: list[pd.DataFrame] = []
    for folder in folders:
        files = {
            "train_loss": "train/loss",
            "validation_loss": "validation/loss",
            "validation_accuracy": "validation/accuracy",
        }
        part = pd.read_csv(_existing(folder / "test.csv")).rename(columns={"accuracy": "test_accuracy"})
        for column, metric in files.items():
            values = pd.read_csv(folder / "plots" / "metrics" / f"{metric}.tsv", sep="\t")
            part[column] = values[metric.rsplit("/", 1)[1]].to_numpy()
        parts.append(part)
    joined = pd.concat(parts)
    means = pd.DataFrame(joined.groupby("epoch", as_index=False).mean())
    means["trials"] = np.bincount(joined["epoch"])[1:]
    return means
