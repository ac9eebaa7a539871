"""The real pruning of jobs; metrics, plots, table and page of figures that depend on each job's bytes alone."""

import ast
import csv
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from cfnsr.data.jobs import JobPaths
from tests.support.stubs.payload import Call, expected, held, run


def fields(name: str, module: str = "rows") -> dict[str, str]:
    """Read the fields of a dataclass of ``cfnsr/report`` and their types, without its import of SciPy."""
    parsed = ast.parse(Path(f"cfnsr/report/{module}.py").read_text())
    (body,) = [node.body for node in parsed.body if isinstance(node, ast.ClassDef) and node.name == name]
    return {ast.unparse(node.target): ast.unparse(node.annotation) for node in body if isinstance(node, ast.AnnAssign)}


def report(call: Call) -> None:
    data = Path(sys.argv[1])
    rows = expected(data, "jobs").rows
    call = replace(call)  # which reads the jobs that are left
    accuracies = {}
    for (protocol, name), trials in rows.items():
        records = b"".join(JobPaths.of(data, name, trial).record.read_bytes() for trial in trials)
        label = name if protocol == "held_out" else f"{name}, {protocol}"
        accuracies[label] = int(hashlib.md5(records).hexdigest()[:4], 16) / 0xFFFF
    names = list(accuracies)
    for output in call.outputs:
        with held(call.stage, output) as partial:
            if output.name == "metrics.json":
                shown = {name: round(accuracy, 4) for name, accuracy in accuracies.items()}
                partial.write_text(json.dumps({"accuracy": shown, "uar": shown, "clips": 8, "skipped": 0}))
            elif output.name == "confusion":
                for name in names:
                    _write(partial / f"{name}.csv", ["actual", "predicted"], [("happy", "happy"), ("happy", "neutral")])
            elif output.name == "curves":
                for name, accuracy in accuracies.items():
                    _write(partial / f"{name}.csv", ["epoch", "validation_accuracy"], [(1, accuracy), (2, accuracy)])
            elif output.name == "results.csv":
                _write(partial, fields("ResultRow"), (_row(line, fields("ResultRow")) for line in accuracies.items()))
            elif output.name == "recall.csv":
                _write(partial, ["name", "label", "recall", "clips"], ((name, "happy", 0.5, 8) for name in names))
            elif output.name == "comparisons.csv":
                pairs = [(first, second, 0.1, 0.5, 0.5) for first, second in pairwise(names)]
                _write(partial, fields("Difference", "differences"), pairs)
            elif output.name == "cross.csv":
                header = fields("CrossRow", "cross")
                _write(partial, header, (_row((name, 0.5), header) for name in expected(data).cross))
            else:
                partial.write_text(f"{call.digest}\n{names}\n")


def _row(line: tuple[str, float], header: dict[str, str]) -> list[object]:
    values = {"str": "", "float": line[1], "int": 1}
    known = {"name": line[0], "reads": "audio video", "protocol": "held_out", "seeds": "1234"}
    return [known.get(name, values.get(kind, "")) for name, kind in header.items()]


def _write(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


run(report)
