"""How long each stage took, and on what device: logs under ``data/logs``, which is no output."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

from cfnsr import STARTED_S
from cfnsr.errors import CfnsrError
from cfnsr.runtime import dvc_repository, stored
from cfnsr.runtime.outputs import atomic_file

LOGS = Path("data/logs")
_LOG = "the log of a stage"

_facts: dict[str, str] = {}


def log_fact(**facts: str) -> None:
    """Keep facts about this process, its device for instance, for ``log_time`` to write."""
    _facts.update(facts)


def log_time() -> None:
    """Write how long this process has run, imports included, and its facts. Without DVC, do nothing."""
    name = os.environ.get("DVC_STAGE")
    if name is None:
        return
    name = name.rpartition(":")[2]  # DVC puts the file's path first where it is not the root's
    seconds = time.monotonic() - STARTED_S
    with atomic_file(LOGS / f"{name}.json") as partial:
        partial.write_text(json.dumps({"stage": name, "wall_s": round(seconds, 2), **_facts}) + "\n", encoding="utf-8")


def read_times(corpus: str, root: Path = Path()) -> dict[str, tuple[int, float]]:
    """Read the number of jobs of each stage of a corpus, and their wall time in seconds, in the order of dvc.yaml."""
    times: dict[str, tuple[int, float]] = {}
    for entry in _entries(corpus):
        name = entry["stage"].partition("@")[0]
        jobs, seconds = times.get(name, (0, 0.0))
        times[name] = (jobs + 1, seconds + entry["wall_s"])
    return {name: times[name] for name in dvc_repository.stage_names(root) if name in times}


def read_job_times(corpus: str) -> dict[tuple[str, str], tuple[int, float]]:
    """Read the number of jobs of each row, and the mean of their wall times in seconds, by protocol and name."""
    times: dict[tuple[str, str], list[float]] = {}
    for entry in _entries(corpus):
        if "row" in entry:
            times.setdefault((entry["protocol"], entry["row"]), []).append(entry["wall_s"])
    return {row: (len(seconds), fmean(seconds)) for row, seconds in times.items()}


def read_seconds(root: Path) -> dict[str, float]:
    """Read the wall time of the last run of each stage, in seconds; leave out damaged logs."""
    seconds = {}
    for path in sorted((root / LOGS).glob("*.json")):
        with suppress(CfnsrError), stored.reading(path, _LOG, ""):  # `cfnsr results` names a damaged log
            entry = stored.read_json(path, dict[str, str | float], _LOG, "")
            seconds[str(entry["stage"])] = float(entry["wall_s"])
    return seconds


def read_facts(corpus: str, name: str) -> list[str]:
    """Read the different values of a fact that the stages of a corpus logged."""
    return sorted({entry[name] for entry in _entries(corpus) if name in entry})


def _entries(corpus: str) -> Iterator[dict[str, Any]]:
    for path in sorted(LOGS.glob("*.json")):
        remedy = f"Delete it (`rm -r {path}`): only the times of that run are lost"
        entry: dict[str, Any] = stored.read_json(path, dict[str, str | float], _LOG, remedy)
        with stored.reading(path, _LOG, remedy):
            corpus_of_stage = entry["stage"].partition("@")[2].split("-")[0]
            entry["wall_s"] = float(entry["wall_s"])
        if corpus_of_stage in (corpus, ""):  # `params` runs for any corpus
            yield entry
